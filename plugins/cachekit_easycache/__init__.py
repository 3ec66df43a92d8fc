"""EasyCache: less is enough (arXiv 2507.02860; H-EmbodVis/EasyCache, EasyCache4Wan2.1/easycache_generate.py).

It looks at the transformer from outside, latents x in and output v out. Between two computed steps the output changes
by k times what the latents do, k = mean|Δv| / mean|Δx| (section 3.2, the transformation rate), and k changes slowly. So
a step is taken to change the output by k · mean|x - x₋₁| / mean|v_c|, x₋₁ the latents one step ago and v_c the output
last computed; the estimates are summed, and the next step whose sum reaches `thresh` is computed (section 3.3). A
skipped call returns x + (v_c - x_c). The first guidance branch called in a step decides for all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import attrs
from attrs import validators

import cachekit
from cachekit import finite, streams

if TYPE_CHECKING:
    import torch


@attrs.define
class EasyCache(cachekit.Strategy):
    """Compute once the output's changes, estimated from those of the latents, add up to the threshold."""

    scope: ClassVar[str] = "forward"
    branches: ClassVar[str] = "first"

    thresh: float = attrs.field(
        default=0.05,
        validator=[finite, validators.ge(0)],
        metadata={"help": "estimated relative change that may add up (Wan 2.1: 0.05, HunyuanVideo: 0.025)"},
    )
    first: int = attrs.field(
        default=10,
        validator=validators.ge(1),
        metadata={"help": "first steps, which are computed in any case, as the last is (HunyuanVideo: 5)"},
    )
    _change: float = attrs.field(default=0.0, init=False, repr=False)
    _latents: torch.Tensor | None = attrs.field(default=None, init=False, repr=False)
    """Of one step ago."""
    _computed: tuple[torch.Tensor, torch.Tensor] | None = attrs.field(default=None, init=False, repr=False)
    """Latents and output of the last computed step."""
    _rate: torch.Tensor | None = attrs.field(default=None, init=False, repr=False)
    """k, unread."""

    def should_compute(self, step: cachekit.Step) -> bool:
        before, self._latents = self._latents, step.latents
        if step.index < self.first or step.index == step.total - 1 or before is None or self._computed is None:
            self._change = 0.0
            return True
        if self._rate is None:
            return True
        moved, size = step.means(step.latents - before, self._computed[1])
        self._change += float(self._rate * (moved / size))
        if self._change < self.thresh:
            return False
        self._change = 0.0
        return True

    def observe(self, step: cachekit.Step, residual: cachekit.Residual) -> None:
        latents, (output,) = step.latents, streams(step.output(residual))
        if self._computed is not None:
            moved, changed = step.means(latents - self._computed[0], output - self._computed[1])
            self._rate = changed / moved
        self._computed = latents, output


@cachekit.hookimpl
def cachekit_strategies(register: cachekit.RegisterStrategy) -> None:
    register("easycache", EasyCache)
