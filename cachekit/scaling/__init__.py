"""The same work over many GPUs and machines: shares that run by themselves, and workers of a Ray cluster."""
