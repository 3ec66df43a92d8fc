"""Reading, writing and locking files: within bounds, whole or not at all, and by one process at a time."""
