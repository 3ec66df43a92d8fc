"""The most memory that was in use."""

from __future__ import annotations

import sys

import torch


def peak_memory_bytes(device: torch.device) -> int | None:
    """Bytes at the peak: of a GPU those of torch's tensors since the process began, else the process's resident ones.

    None where the system does not say (Windows).
    """
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
