"""Correcting afterwards: what a stretch of skipped steps got wrong is given back once the step behind it is computed.

At the computed step e after a stretch that began behind the computed step b, the outputs of the stretch lie between two
known ones, v_t ≈ (1 - w_t) v_b + w_t v_e with w_t fitted in G, and no longer ahead of one. An Euler sampler has added
Σ h_t v̂_t of the predicted ones, so that

    κ Σ_t h_t ((1 - w_t) v_b + w_t v_e - v̂_t),     κ = strength / (1 + (Σ_t h_t w_t + h_e) / τ_e) / (1 + (ε / ε₀)⁴)

is added along with h_e v_e. κ is less than 1 for two reasons. v_e was computed on latents that were off by what was
missed, δ: off the data's manifold a flow's velocity answers with -δ / τ_e, and each unit of time that v_e stands for
makes good so much of δ by itself; late in a run, and after long stretches, that is most of it. And where much was
missed, v_e is another path's: ε = ‖E‖ / ‖y‖ says so ahead, E being what the stretch is to miss and y an output.
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import TYPE_CHECKING

import attrs
import numpy as np

import cachekit
from cachekit import LinearPredictor
from cachekit_gramcache.outputs import Array, Outputs

if TYPE_CHECKING:
    import torch


FARTHEST = 0.008
"""ε₀, the share of an output's length that a stretch may miss before what is computed behind it is no guide."""


@attrs.frozen(eq=False, slots=False)
class Correction:
    """How the stretches of a run are corrected."""

    outputs: Outputs
    sizes: Array
    """h_t, `[N]`."""
    noise: Array
    """τ_t, `[N]`."""
    predictor: LinearPredictor
    strength: float

    @cached_property
    def _known(self) -> dict[tuple[tuple[int, ...], int], tuple[Array, float]]:
        return {}

    def of(self, kept: tuple[int, ...], after: int) -> tuple[Array, float]:
        """w_t of each skipped step between the last of the computed steps `kept` and the one after, and κ."""
        if (kept, after) not in self._known:
            shares = self.outputs.shares(kept[-1], after)
            covered = float(self.sizes[kept[-1] + 1 : after] @ shares) + self.sizes[after]
            answered = 1 + max(covered, 0.0) / self.noise[after]
            lost = 1 + (self.missed(kept, after) / FARTHEST) ** 4
            self._known[kept, after] = shares, float(self.strength / answered / lost)
        return self._known[kept, after]

    def foresee(self, plan: str) -> None:
        """Find ahead what this plan's stretches need, so that no step waits for it."""
        computed = [index for index, mark in enumerate(plan) if mark == cachekit.COMPUTED]
        for place, after in enumerate(computed[1:], start=1):
            if after - computed[place - 1] > 1:
                self.of(tuple(computed[max(0, place - self.predictor.history) : place]), after)

    def missed(self, kept: tuple[int, ...], after: int) -> float:
        """ε of that stretch."""
        error = self.outputs.missed(self.sizes, self.predictor, kept, after - kept[-1] - 1)[-1]
        return math.sqrt(float(self.outputs.squared(error)) / self._length)

    @cached_property
    def _length(self) -> float:
        """‖y‖² of a step, on average."""
        return float(np.diag(self.outputs.gram).mean())


@attrs.define
class StretchCorrector(cachekit.Corrector):
    """Keeps the last computed output and what the sampler has added since, each of the output's size."""

    correction: Correction
    _kept: tuple[int, ...] = attrs.field(default=(), init=False)
    """The computed steps that the predictor predicts from."""
    _computed: torch.Tensor | None = attrs.field(default=None, init=False)
    """The output of the last of them."""
    _added: torch.Tensor | None = attrs.field(default=None, init=False)
    """Σ h_t v̂_t of the steps skipped since, in float32."""

    def skipped(self, index: int, output: torch.Tensor) -> None:
        moved = output.detach().float() * self.correction.sizes[index]
        self._added = moved if self._added is None else self._added.add_(moved)

    def computed(self, index: int, output: torch.Tensor) -> torch.Tensor:
        kept, before, added, now = self._kept, self._computed, self._added, output.detach()
        self._kept = (*kept, index)[-self.correction.predictor.history :]
        self._computed, self._added = now, None
        if before is None or added is None:
            return output
        shares, strength = self.correction.of(kept, index)
        sizes = self.correction.sizes[kept[-1] + 1 : index]
        after = float(sizes @ shares)
        between = (float(sizes.sum()) - after) * before.float() + after * now.float()
        return output + ((between - added) * (strength / float(self.correction.sizes[index]))).to(output.dtype)
