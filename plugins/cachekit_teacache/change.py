"""How much a tensor changes from one step to the next, relative to what it was."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def relative_l1(now: torch.Tensor, before: torch.Tensor) -> float:
    """mean |now - before| / mean |before|; reading it waits for the GPU, once a step."""
    return float(((now - before).abs().mean() / before.abs().mean()).item())
