"""Newsletters and social threads for a blog that writes in series."""
