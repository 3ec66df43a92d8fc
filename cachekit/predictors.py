"""What to put in place of a skipped body: the interface of predictors, and the two that ship.

`reuse` hands on the last computed residual, as MagCache and TeaCache do. `taylor` extrapolates the polynomial through
the last computed ones, in the spirit of TaylorSeer (arXiv 2503.06923).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import attrs

from cachekit.hooks import RegisterPredictor, hookimpl
from cachekit.residuals import combine

if TYPE_CHECKING:
    from cachekit.residuals import Residual
    from cachekit.strategy import Step


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
class Reuse(LinearPredictor):
    """Hand on the residual of the last computed step."""

    @property
    def history(self) -> int:
        return 1

    def weights(self, computed: Sequence[int], index: int) -> list[float]:
        return [1.0]


@attrs.define
class Taylor(LinearPredictor):
    """Extrapolate through the last `order + 1` computed residuals at their step positions.

    The weights are Lagrange's: with positions p_j, weight j is Π_{k≠j} (index - p_k) / (p_j - p_k). Until that many
    steps are computed, the order is as high as there are.
    """

    order: int = attrs.field(
        default=1,
        validator=[attrs.validators.instance_of(int), attrs.validators.ge(0)],
        metadata={"help": "order of the polynomial; 1 extrapolates along a line"},
    )

    @property
    def history(self) -> int:
        return self.order + 1

    def weights(self, computed: Sequence[int], index: int) -> list[float]:
        weights = []
        for j, position in enumerate(computed):
            weight = 1.0
            for k, other in enumerate(computed):
                if k != j:
                    weight *= (index - other) / (position - other)
            weights.append(weight)
        return weights


@hookimpl
def cachekit_predictors(register: RegisterPredictor) -> None:
    register("reuse", Reuse)
    register("taylor", Taylor)
