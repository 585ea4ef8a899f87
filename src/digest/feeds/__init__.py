"""From a feed's URL to stored posts: fetch, parse, clean, identify."""
