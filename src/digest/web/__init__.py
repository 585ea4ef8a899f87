"""The pages: readers leave and confirm, anyone reads an issue, editors see it before it goes."""
