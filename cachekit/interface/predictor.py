"""What to put in place of a skipped body: the interface of predictors, and the two that others build on.

`LinearPredictor` combines the last computed residuals with fixed weights, which a planning strategy can read. `Damped`
is the one of them whose slope a strategy may set from a measurement (`Strategy.fit_predictor`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import attrs

from cachekit.interface.residuals import combine

if TYPE_CHECKING:
    from cachekit.interface.residuals import Residual
    from cachekit.interface.step import Step


@attrs.define
class Predictor:
    """Answers for the body on skipped steps, from the residuals of the computed ones.

    A predictor is an attrs class like a strategy, copied afresh for each branch of each run.
    """

    def update(self, step: Step, residual: Residual) -> None:
        """See the residual of a computed step, of the shape of `step.hidden`; keep no more than `predict` needs."""
        raise NotImplementedError

    def predict(self, step: Step) -> Residual:
        """The residual to use on a skipped step; called only after at least one `update`."""
        raise NotImplementedError


@attrs.define
class LinearPredictor(Predictor):
    """A predictor whose residual is a fixed linear combination of the last computed ones.

    A subclass says how many it needs (`history`) and with which weights; a planning strategy can read the same.
    """

    _kept: list[tuple[int, Residual]] = attrs.field(factory=list, init=False, repr=False)

    @property
    def history(self) -> int:
        """How many computed residuals it keeps."""
        raise NotImplementedError

    def weights(self, computed: Sequence[int], index: int) -> list[float]:
        """The weight of each computed residual, oldest first, in the residual of the skipped step `index`.

        `computed` holds the step positions kept, at least one and at most `history`.
        """
        raise NotImplementedError

    def update(self, step: Step, residual: Residual) -> None:
        self._kept = [*self._kept, (step.index, residual)][-self.history :]

    def predict(self, step: Step) -> Residual:
        weights = self.weights([index for index, _ in self._kept], step.index)
        return combine(weights, [residual for _, residual in self._kept])


@attrs.define
class Damped(LinearPredictor):
    """Extrapolate the last two computed residuals along a line whose slope is damped.

    With a and b the last two positions, r_b + slope · (index - b) / (b - a) · (r_b - r_a): `reuse` lags behind where
    residuals drift, `taylor` overshoots where they turn, and half the slope splits the difference. A strategy that has
    measured the model may set the slope of each step (`Strategy.fit_predictor`).
    """

    slope: float = attrs.field(
        default=0.5,
        validator=[attrs.validators.ge(0), attrs.validators.le(1)],
        metadata={"help": "share of the line's slope to follow: 0 repeats the last residual, 1 is taylor of order 1"},
    )

    @property
    def history(self) -> int:
        return 2

    def slope_at(self, older: int, newer: int, index: int) -> float:
        """The slope on the skipped step `index` after the computed steps `older` and `newer`."""
        return self.slope

    def weights(self, computed: Sequence[int], index: int) -> list[float]:
        if len(computed) == 1:
            return [1.0]
        older, newer = computed
        ahead = self.slope_at(older, newer, index) * (index - newer) / (newer - older)
        return [-ahead, 1 + ahead]
