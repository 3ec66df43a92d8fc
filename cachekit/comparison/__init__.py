"""Comparing settings: a grid of them, run side by side with the baselines they must beat, judged, and reported."""
