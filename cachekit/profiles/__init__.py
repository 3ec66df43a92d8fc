"""Measured parameters as files."""
