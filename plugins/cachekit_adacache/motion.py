"""AdaCache's motion regularization (arXiv 2411.02397, section 3.3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import attrs

import cachekit

if TYPE_CHECKING:
    import torch

STILL, POWER, GRADIENT = 0.385, 8, 10
"""The motion of a middling video, the power that sharpens what departs from it, and the weight of its change."""


@attrs.define
class Motion:
    """How much more or less a change counts, by how the residual moves from frame to frame."""

    _before: float = attrs.field(default=1.0, init=False)

    def weight(
        self, step: cachekit.Step, residual: torch.Tensor, planned: int, frames: int | None, within: Sequence[int]
    ) -> float:
        """m + 10 |m - m'| / planned, with m = (motion / 0.385)⁸ within the steps and 1 outside, m' the one before."""
        first, last = within
        motion = 1.0
        if first <= step.index + 1 <= last:
            motion = (self.measure(step, residual, frames) / STILL) ** POWER
        gradient, self._before = GRADIENT * (motion - self._before) / planned, motion
        return motion + abs(gradient)

    def measure(self, step: cachekit.Step, residual: torch.Tensor, frames: int | None) -> float:
        """Σ|r[f+1] - r[f]| / (Σ|r[1:]| + Σ|r[:-1]|) over frames f, tokens `[B, T*S, C]` being ordered by frame."""
        count = frames if frames is not None else frames_of(step)
        if residual.shape[1] % count or count < 2:
            raise cachekit.CachekitError(
                f"adacache can't weigh motion: {residual.shape[1]} tokens are no {count} frames; "
                "give frames= as the transformer sees them, or motion=False"
            )
        spatial = residual.shape[1] // count
        later, earlier = residual[:, spatial:], residual[:, :-spatial]
        moved, one, other = step.means(later - earlier, later, earlier)
        return float(moved / (one + other))


def frames_of(step: cachekit.Step) -> int:
    """T of the latents `[B, C, T, H, W]`."""
    if step.latents.ndim != 5:
        raise cachekit.CachekitError(
            f"adacache finds no frames in latents of shape {tuple(step.latents.shape)}; give frames=, or motion=False"
        )
    return step.latents.shape[2]
