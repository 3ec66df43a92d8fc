"""What a video can be asked for: bounds that no sampler reaches, so that a slip of the hand can't take the machine."""

from __future__ import annotations

import os
from typing import Any

import attrs

from cachekit.errors import CachekitError

MOST_FRAMES = 10_000
"""Several minutes."""
LARGEST_SIDE = 16_384
"""Pixels: four times 4k's width."""
LARGEST_SEED = 2**63 - 1
BYTES_A_PIXEL = 12
"""Of three channels in float32, as an autoencoder gives them."""


def frame_rate(default: float) -> Any:
    """The field of a model's frames a second, which a video's file must be able to say."""
    return attrs.field(
        default=default,
        validator=[attrs.validators.ge(0.1), attrs.validators.le(1000)],
        metadata={"help": "frames a second, from 0.1 to 1000"},
    )


def check_memory(frames: int, height: int, width: int) -> None:
    """Refuse a video whose frames alone are more than this machine's memory; sizes in pixels."""
    needed, there = frames * height * width * BYTES_A_PIXEL, memory_bytes()
    if there is not None and needed > there:
        raise CachekitError(
            f"{frames} frames of {width} x {height} pixels take {needed / 2**30:,.0f} GiB, and this machine has "
            f"{there / 2**30:,.0f}; ask for fewer or smaller ones"
        )


def memory_bytes() -> int | None:
    """Bytes of this machine's memory; None where the system does not say (Windows)."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None
