"""The shipped metrics, one file each."""
