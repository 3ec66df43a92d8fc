"""A strategy at work on a transformer."""
