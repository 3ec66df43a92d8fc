"""SeaCache: spectral-evolution-aware cache (arXiv 2602.18993; jiwoogit/SeaCache, Wan2.1/seacache_generate.py).

TeaCache's accumulator on a cleaner signal, without a polynomial. Of the first block's modulated input a noisy latent
shows the low frequencies first; a Wiener filter for what σ leaves (section 3.2, `filter.py`) takes away what is noise
still. The relative changes of the filtered input, from each step to the next, are summed since the last computed step,
and the next step whose sum reaches `thresh` is computed.

On its forced steps the public code for Wan 2.1 and FLUX keeps the input unfiltered, so the first free step compares
unlike things and is computed; HunyuanVideo's filters always (`filter_forced`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

import attrs
from attrs import validators

import cachekit
from cachekit import finite
from cachekit_seacache.filter import Grid, grid_of, noise_level, wiener

if TYPE_CHECKING:
    import torch


@attrs.define
class SeaCache(cachekit.Strategy):
    """Compute once the filtered changes of the modulated input add up to the threshold."""

    probes: ClassVar[tuple[str, ...]] = ("modulated_input",)

    thresh: float = attrs.field(
        default=0.2,
        validator=[finite, validators.ge(0)],
        metadata={"help": "filtered relative change that may add up (Wan and HunyuanVideo 0.2, FLUX 0.3)"},
    )
    first: int = attrs.field(
        default=1, validator=validators.ge(1), metadata={"help": "first steps, which are computed in any case"}
    )
    force_last: bool = attrs.field(default=True, metadata={"help": "whether the last step is computed in any case"})
    filter_forced: bool = attrs.field(
        default=False, metadata={"help": "whether to filter on forced steps too, as the code for HunyuanVideo does"}
    )
    power: float = attrs.field(
        default=3.0,
        validator=[finite, validators.gt(0)],
        metadata={"help": "the spectrum of clean latents falls as 1/f^power (videos 3, images 2)"},
    )
    grid: Sequence[int] | None = attrs.field(
        default=None,
        metadata={"help": "tokens along time, height and width (images: height, width); none to tell from the latents"},
    )
    _change: float = attrs.field(default=0.0, init=False, repr=False)
    _before: torch.Tensor | None = attrs.field(default=None, init=False, repr=False)

    def should_compute(self, step: cachekit.Step) -> bool:
        forced = step.index < self.first or (self.force_last and step.index == step.total - 1)
        now = step.probe("modulated_input")
        if self.filter_forced or not forced:
            now = wiener(now, self._grid(step, now.shape[1]), noise_level(step), self.power)
        before, self._before = self._before, now
        if forced or before is None:
            self._change = 0.0
            return True
        self._change += step.relative_change(now, before)
        if self._change < self.thresh:
            return False
        self._change = 0.0
        return True

    def _grid(self, step: cachekit.Step, tokens: int) -> Grid:
        return grid_of(tokens, step.latents) if self.grid is None else tuple(self.grid)


@cachekit.hookimpl
def cachekit_strategies(register: cachekit.RegisterStrategy) -> None:
    register("seacache", SeaCache)
