"""The interface of correctors: what a strategy changes of the transformer's output, once it knows better.

A predictor answers for the blocks of a skipped step. A corrector stands at the transformer's end: it sees the output of
every step on its way to the sampler, and may hand on another where a step was computed. A sampler that adds outputs to
the latents, each times its step's size (`Run.euler`), can so be given back what the skipped steps before got wrong.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    import torch


@attrs.define
class Corrector(ABC):
    """Sees each step's output of the transformer, `[B, C, T, H, W]` in Open-Sora; a fresh copy a branch and run.

    It plans ahead: nothing here may read a tensor's value.
    """

    @abstractmethod
    def skipped(self, index: int, output: torch.Tensor) -> None:
        """See the output of a skipped step, which goes to the sampler as it is."""

    @abstractmethod
    def computed(self, index: int, output: torch.Tensor) -> torch.Tensor:
        """What goes to the sampler in place of a computed step's output, of its shape and type."""
