"""DBCache, Dual Block Cache (vipshop/cache-dit, caching/cache_contexts/cache_manager.py `can_cache`, `similarity`).

First Block Cache over the first `head` blocks ("F"), with the last `tail` blocks ("B") run on every step too: F8B0 by
default. Skipped is where mean |r - r_c| / mean |r_c| is below `thresh`, r what the head adds and r_c what it added at
the last computed step; but not in the first `warm_up` steps, and no more than the three caps allow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
from attrs import validators

import cachekit
from cachekit import finite, streams

if TYPE_CHECKING:
    import torch


@attrs.define
class DBCache(cachekit.Strategy):
    """Compute where the head's residual has left that of the last computed step, or a cap is reached."""

    head: int = attrs.field(  # type: ignore[misc]
        default=8, validator=validators.ge(1), metadata={"help": "first blocks, run on every step (Fn)"}
    )
    tail: int = attrs.field(  # type: ignore[misc]
        default=0, validator=validators.ge(0), metadata={"help": "last blocks, run on every step (Bn)"}
    )
    thresh: float = attrs.field(
        default=0.08,
        validator=[finite, validators.ge(0)],
        metadata={"help": "relative change of the head's residual from which a step is computed"},
    )
    warm_up: int = attrs.field(
        default=8, validator=validators.ge(1), metadata={"help": "first steps, which are computed in any case"}
    )
    max_skipped: int | None = attrs.field(
        default=None, validator=validators.optional(validators.ge(0)), metadata={"help": "skipped steps of a run"}
    )
    max_in_a_row: int | None = attrs.field(
        default=None, validator=validators.optional(validators.ge(0)), metadata={"help": "skipped steps in a row"}
    )
    max_change: float | None = attrs.field(
        default=None,
        validator=validators.optional([finite, validators.gt(0)]),
        metadata={"help": "sum of all changes measured in a run from which every step is computed"},
    )
    _computed: torch.Tensor | None = attrs.field(default=None, init=False, repr=False)
    _changes: float = attrs.field(default=0.0, init=False, repr=False)
    _skipped: list[int] = attrs.field(factory=list, init=False, repr=False)
    _in_a_row: int = attrs.field(default=0, init=False, repr=False)

    def should_compute(self, step: cachekit.Step) -> bool:
        if self._computed is None or step.index < self.warm_up or self._at_a_cap():
            return True
        change = step.relative_change(added(step), self._computed)
        self._changes += change
        if change >= self.thresh:
            return True
        self._count(step.index)
        return False

    def observe(self, step: cachekit.Step, residual: cachekit.Residual) -> None:
        self._computed = added(step)

    def _at_a_cap(self) -> bool:
        if self.max_skipped is not None and len(self._skipped) >= self.max_skipped:
            return True
        if self.max_in_a_row is not None and self._in_a_row >= self.max_in_a_row:
            self._in_a_row = 0
            return True
        return self.max_change is not None and self._changes >= self.max_change

    def _count(self, index: int) -> None:
        """Count a skipped step as cache-dit does.

        The count in a row ends when the cap is reached, not when a step is computed for its change, and a second skip
        in a row counts for the first as well where that was not counted.
        """
        if not self._skipped:
            self._in_a_row += 1
        elif index - self._skipped[-1] == 1:
            self._in_a_row += 2 if self._in_a_row == 0 else 1
        self._skipped.append(index)


def added(step: cachekit.Step) -> torch.Tensor:
    """What the head added to the body's input; of several streams to the first, the image."""
    return streams(step.hidden)[0] - streams(step.entry)[0]


@cachekit.hookimpl
def cachekit_strategies(register: cachekit.RegisterStrategy) -> None:
    register("dbcache", DBCache)
