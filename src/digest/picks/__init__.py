"""Which posts belong to which series and themes, and which of them an issue takes."""
