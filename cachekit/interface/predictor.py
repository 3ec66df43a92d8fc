"""What to put in place of a skipped body: the interface of predictors, and the two that others build on.

`LinearPredictor` combines the last computed residuals with fixed weights, which a planning strategy can read. `Damped`
is the one of them whose slope a strategy may set from a measurement (`Strategy.fit_predictor`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

import attrs

from cachekit.interface.residuals import add, combine, subtract

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

    of: ClassVar[str] = "residual"
    """What is combined: `residual`, or `output`, from which the step's input is then taken. May be a parameter."""
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
        feature = residual if self.of == "residual" else add(step.hidden, residual)
        self._kept = [*self._kept, (step.index, feature)][-self.history :]

    def predict(self, step: Step) -> Residual:
        weights = self.weights([index for index, _ in self._kept], step.index)
        feature = combine(weights, [feature for _, feature in self._kept])
        return feature if self.of == "residual" else subtract(feature, step.hidden)


def backward_differences(computed: Sequence[int], order: int, *, first: int = 0) -> list[list[float]]:
    """The weights of the computed residuals, oldest first, in F, ΔF, Δ²F, ... at the last of them, up to `order`.

    Δ^{i+1}F = (Δ^i F - Δ^i F') / distance, F' one computed step earlier (TaylorSeer, arXiv 2503.06923): each distance
    is that of two computed steps, so that beyond order 1 these are not the divided differences of a polynomial. Before
    step `first` no differences are taken.
    """
    rows: list[list[float]] = []
    for place, position in enumerate(computed):
        earlier, rows = rows, [[float(other == place) for other in range(len(computed))]]
        if place > 0 and position >= first:
            distance = position - computed[place - 1]
            for before in earlier[:order]:
                rows.append([(a - b) / distance for a, b in zip(rows[-1], before, strict=True)])
    return rows


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
