"""DiCache: let diffusion model determine its own cache (arXiv 2508.17356; Bujiazi/DiCache).

When (section 3.2, "online probe"): the first blocks run on every step, and the relative changes of the state after
them, from each step to the next, are summed since the last computed step; the next step whose sum reaches `thresh` is
computed. What (section 3.3, "dynamic trajectory alignment", the predictor `aligned`): with R₂ and R₁ the residuals of
the body at the last two computed steps, the newer last, and P₂, P₁ its first blocks', the skipped step whose first
blocks add P gets R₂ + γ (R₁ - R₂), γ = mean|P - P₂| / mean|P₁ - P₂| within 1 and `longest`.

The public code differs by model: Wan 2.1 has thresh 0.08 and γ up to 2, HunyuanVideo 0.1 and 1.5, FLUX 0.4 and 1.5
with the last step forced.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import attrs
from attrs import validators

import cachekit
from cachekit import finite, streams
from cachekit_dicache.alignment import Aligned

if TYPE_CHECKING:
    import torch


@attrs.define
class DiCache(cachekit.Strategy):
    """Compute once the changes of the state after the first blocks add up to the threshold."""

    predictor: ClassVar[str] = "aligned"

    head: int = attrs.field(  # type: ignore[misc]
        default=1, validator=validators.ge(1), metadata={"help": "first blocks, run on every step: the probe's depth"}
    )
    thresh: float = attrs.field(
        default=0.08,
        validator=[finite, validators.ge(0)],
        metadata={"help": "relative change that may add up before a step is computed (HunyuanVideo 0.1, FLUX 0.4)"},
    )
    retention_ratio: float = attrs.field(
        default=0.2,
        validator=[finite, validators.ge(0), validators.le(1)],
        metadata={"help": "share of the first steps that are always computed"},
    )
    force_last: bool = attrs.field(default=False, metadata={"help": "whether the last step is computed in any case"})
    less_input: bool = attrs.field(
        default=False,
        metadata={"help": "sum how much more or less the state changes than the body's input (FLUX's delta_minus)"},
    )
    _change: float = attrs.field(default=0.0, init=False, repr=False)
    _before: tuple[torch.Tensor, torch.Tensor] | None = attrs.field(default=None, init=False, repr=False)
    """The body's input and the state after the first blocks, one step ago."""

    def should_compute(self, step: cachekit.Step) -> bool:
        now = streams(step.entry)[0], streams(step.hidden)[0]
        before, self._before = self._before, now
        forced = step.index < int(step.total * self.retention_ratio)
        if before is None or forced or (self.force_last and step.index == step.total - 1):
            return True
        change = step.relative_change(now[1], before[1])
        if self.less_input:
            change = abs(change - step.relative_change(now[0], before[0]))
        self._change += change
        if self._change < self.thresh:
            return False
        self._change = 0.0
        return True


@cachekit.hookimpl
def cachekit_strategies(register: cachekit.RegisterStrategy) -> None:
    register("dicache", DiCache)


@cachekit.hookimpl
def cachekit_predictors(register: cachekit.RegisterPredictor) -> None:
    register("aligned", Aligned)
