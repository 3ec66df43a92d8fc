"""AdaCache: adaptive caching for faster video generation (arXiv 2411.02397; AdaCache-DiT/AdaCache, stdit3.py).

At each computed step the residual of one block inside the body is compared with what it was at the computed step before
(section 3.2): d = mean|new - old| / mean|old|, over the distance that was planned then. A codebook turns d into the
distance to the next computed step: the first entry above d. The first step and the last two are computed in any case.
Motion regularization (section 3.3) weighs d by how much the residual moves from frame to frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import attrs
from attrs import validators

import cachekit
from cachekit import streams
from cachekit_adacache.motion import Motion

if TYPE_CHECKING:
    import torch

FAST = ((0.08, 6), (0.16, 5), (0.24, 4), (0.32, 3), (0.40, 2), (1.00, 1))
"""The published codebook of 30 steps; the slow one is 0.08: 3, 0.16: 2, and 1 above."""


def check_codebook(instance: object, attribute: attrs.Attribute[Any], value: Sequence[Sequence[float]]) -> None:
    if not value or any(len(entry) != 2 or entry[1] < 1 or entry[1] != int(entry[1]) for entry in value):
        raise ValueError(f"codebook must hold pairs of a change and a distance in steps of at least 1, not {value!r}")
    if sorted(entry[0] for entry in value) != [entry[0] for entry in value]:
        raise ValueError(f"the changes of the codebook must rise, not {value!r}")


@attrs.define
class AdaCache(cachekit.Strategy):
    """Compute the next step that a codebook gives for how much a block inside changed."""

    inner: int = attrs.field(  # type: ignore[misc]
        default=27,
        validator=validators.ge(0),
        metadata={"help": "position of the block that is watched; in Open-Sora 27 is the temporal block 13 of 28"},
    )
    scale: float = attrs.field(
        default=1.0,
        validator=[cachekit.finite, validators.gt(0)],
        metadata={"help": "what the codebook's thresholds are multiplied by; more skips more"},
    )
    codebook: Sequence[Sequence[float]] = attrs.field(
        default=FAST,
        validator=check_codebook,
        metadata={"help": "pairs: a change, and the steps to the next computed one below it; the last beyond them all"},
    )
    motion: bool = attrs.field(
        default=False, metadata={"help": "weigh changes by the motion between frames (off in the published runs)"}
    )
    motion_steps: Sequence[int] = attrs.field(
        default=(4, 26), metadata={"help": "first and last step, from 1, in which motion is weighed (of 30: 4, 26)"}
    )
    frames: int | None = attrs.field(
        default=None,
        validator=validators.optional(validators.ge(2)),
        metadata={"help": "frames that the tokens are of, in order; none to read it from latents [B, C, T, H, W]"},
    )
    _residual: torch.Tensor | None = attrs.field(default=None, init=False, repr=False)
    """The watched block's at the last computed step."""
    _last: int = attrs.field(default=0, init=False, repr=False)
    _distance: int = attrs.field(default=1, init=False, repr=False)
    _motion: Motion = attrs.field(factory=Motion, init=False, repr=False)

    def should_compute(self, step: cachekit.Step) -> bool:
        return step.index == 0 or step.index >= step.total - 2 or step.index == self._last + self._distance

    def observe(self, step: cachekit.Step, residual: cachekit.Residual) -> None:
        new, old, planned = streams(step.inner)[0], self._residual, self._distance
        self._residual, self._last = new, step.index
        if old is None:
            return
        change = step.relative_change(new, old) / planned
        if self.motion:
            change *= self._motion.weight(step, new, planned, self.frames, self.motion_steps)
        *listed, (_, otherwise) = self.codebook
        self._distance = int(next((gap for below, gap in listed if change < below * self.scale), otherwise))


@cachekit.hookimpl
def cachekit_strategies(register: cachekit.RegisterStrategy) -> None:
    register("adacache", AdaCache)
