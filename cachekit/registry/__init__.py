"""Plugins, what they register, and the parameters of that."""
