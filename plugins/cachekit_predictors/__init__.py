"""What to put in place of a skipped body: the three predictors that ship.

`reuse` hands on the last computed residual, as MagCache and TeaCache do. `taylor` extrapolates the polynomial through
the last computed ones, in the spirit of TaylorSeer (arXiv 2503.06923). `damped` goes between them: along the line
through the last two, but only part of the way; it is the core's `cachekit.Damped`, since strategies build on it.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

import cachekit


@attrs.define
class Reuse(cachekit.LinearPredictor):
    """Hand on the residual of the last computed step."""

    @property
    def history(self) -> int:
        return 1

    def weights(self, computed: Sequence[int], index: int) -> list[float]:
        return [1.0]


@attrs.define
class Taylor(cachekit.LinearPredictor):
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


@cachekit.hookimpl
def cachekit_predictors(register: cachekit.RegisterPredictor) -> None:
    register("reuse", Reuse)
    register("taylor", Taylor)
    register("damped", cachekit.Damped)
