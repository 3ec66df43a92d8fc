"""Correcting afterwards: what a stretch of skipped steps got wrong is given back once the step behind it is computed.

At the computed step e after a stretch that began behind the computed step b, the outputs of the stretch lie between two
known ones, v_t ≈ (1 - w_t) v_b + w_t v_e with w_t fitted in G, and no longer ahead of one. An Euler sampler has added
Σ h_t v̂_t of the predicted ones, so that

    κ Σ_t h_t ((1 - w_t) v_b + w_t v_e - v̂_t),     κ = strength / (1 + (Σ_t h_t w_t + h_e) / τ_e)

is added along with h_e v_e. κ is less than 1 because v_e was computed on latents that were off by what was missed, δ:
off the data's manifold a flow's velocity answers with -δ / τ_e, and each unit of time that v_e stands for makes good so
much of δ by itself. Late in a run, and after long stretches, that is most of it.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import attrs
import numpy as np

import cachekit
from cachekit_gramcache.outputs import Array, Outputs

if TYPE_CHECKING:
    import torch


@attrs.frozen(eq=False, slots=False)
class Correction:
    """How a stretch between two computed steps is corrected at the second."""

    outputs: Outputs
    sizes: Array
    """h_t, `[N]`."""
    noise: Array
    """τ_t, `[N]`."""
    strength: float

    @cached_property
    def _known(self) -> dict[tuple[int, int], tuple[Array, float]]:
        return {}

    def of(self, before: int, after: int) -> tuple[Array, float]:
        """w_t of each skipped step between these computed ones, and κ."""
        if (before, after) not in self._known:
            shares = np.array([self.outputs.share(before, after, step) for step in range(before + 1, after)])
            covered = float(self.sizes[before + 1 : after] @ shares) + self.sizes[after]
            self._known[before, after] = shares, self.strength / (1 + max(covered, 0.0) / self.noise[after])
        return self._known[before, after]


@attrs.define
class StretchCorrector(cachekit.Corrector):
    """Keeps the last computed output and what the sampler has added since, each of the output's size."""

    correction: Correction
    _computed: tuple[int, torch.Tensor] | None = attrs.field(default=None, init=False)
    _added: torch.Tensor | None = attrs.field(default=None, init=False)
    """Σ h_t v̂_t of the steps skipped since, in float32."""

    def skipped(self, index: int, output: torch.Tensor) -> None:
        moved = output.detach().float() * self.correction.sizes[index]
        self._added = moved if self._added is None else self._added.add_(moved)

    def computed(self, index: int, output: torch.Tensor) -> torch.Tensor:
        before, added, now = self._computed, self._added, output.detach()
        self._computed, self._added = (index, now), None
        if before is None or added is None:
            return output
        last, older = before
        shares, strength = self.correction.of(last, index)
        sizes = self.correction.sizes
        after = float(sizes[last + 1 : index] @ shares)
        missed = (sizes[last + 1 : index].sum() - after) * older.float() + after * now.float() - added
        return output + (missed * (strength / sizes[index])).to(output.dtype)
