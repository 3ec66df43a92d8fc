"""One step of one branch, as strategies, predictors and calibrators see it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    import torch

    from cachekit.interface.residuals import Residual


@attrs.define
class Step:
    """One step of one branch, as a strategy or predictor sees it."""

    index: int
    """From 0."""
    total: int
    """Steps of the run."""
    branch: int
    hidden: Residual
    """The body's input: a tensor, `[B, T*S, C]` in Open-Sora, or a tuple of one a stream."""
    _timestep: torch.Tensor | float | None
    _probe: Callable[[str], torch.Tensor]

    @property
    def timestep(self) -> float | None:
        """The model's noise-level input for this step (the batch's first); None where it takes none.

        Reading it reads a tensor's value: on a GPU, that waits for the GPU.
        """
        if self._timestep is None or isinstance(self._timestep, (int, float)):
            return self._timestep
        return float(self._timestep.flatten()[0])

    def probe(self, name: str) -> torch.Tensor:
        """A cheap tensor of this step that the adapter offers, such as `modulated_input`."""
        return self._probe(name)
