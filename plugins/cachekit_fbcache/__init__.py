"""First Block Cache (ParaAttention; diffusers hooks/first_block_cache.py, from which this rule was read).

The first block runs on every step. Let r be what it adds to its input and r_c what it added at the last *computed*
step: the other blocks run where mean |r - r_c| / mean |r_c| passes `thresh`, else what they added then is added again.
Nothing accumulates, and no step but the first is forced.
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
class FBCache(cachekit.Strategy):
    """Compute where the first block's residual has left that of the last computed step."""

    head: ClassVar[int] = 1

    thresh: float = attrs.field(
        default=0.05,
        validator=[finite, validators.ge(0)],
        metadata={"help": "relative change of the first block's residual that is still skipped (FLUX: 0.08)"},
    )
    _computed: torch.Tensor | None = attrs.field(default=None, init=False, repr=False)
    """The first block's residual at the last computed step."""

    def should_compute(self, step: cachekit.Step) -> bool:
        return self._computed is None or step.relative_change(added(step), self._computed) > self.thresh

    def observe(self, step: cachekit.Step, residual: cachekit.Residual) -> None:
        self._computed = added(step)


def added(step: cachekit.Step) -> torch.Tensor:
    """What the head added to the body's input; of several streams to the first, the image."""
    return streams(step.hidden)[0] - streams(step.entry)[0]


@cachekit.hookimpl
def cachekit_strategies(register: cachekit.RegisterStrategy) -> None:
    register("fbcache", FBCache)
