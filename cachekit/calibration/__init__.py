"""Measuring profiles, and merging shards of them."""
