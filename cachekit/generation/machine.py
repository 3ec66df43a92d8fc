"""The machine that timings were taken on, in words."""

from __future__ import annotations

import os
import platform
from functools import lru_cache
from pathlib import Path


@lru_cache
def machine_name(device: str) -> str:
    """Processor, threads and torch's version; the GPU where the work was on one."""
    import torch

    processor = processor_name()
    where = f"{processor}, {os.cpu_count()} processors, {torch.get_num_threads()} threads"
    if device != "cpu":
        where = f"{torch.cuda.get_device_name()}, {processor}"
    return f"{where}, torch {torch.__version__}"


def processor_name() -> str:
    """As the system names it; its architecture where it does not."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8", errors="replace").splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
