"""TaylorSeer: from reusing to forecasting (arXiv 2503.06923), at the body, as its authors' "lite" form.

At a computed step the finite differences Δ^i F are taken, each over the distance of two computed steps (section 3.3);
k steps later F is forecast as Σ_i Δ^i F / i! · k^i. At order 1 that is `taylor`; from order 2 on it isn't, for Taylor's
series wants derivatives, and these differences are not centred on the step they are used at.

Written from the paper and from what Shenyi-Z/Cache4Diffusion (HunyuanImage-2.1/taylorseer_lite_hyimage) computes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import attrs
from attrs import validators

import cachekit


@attrs.define
class TaylorSeer(cachekit.LinearPredictor):
    """Forecast with a Taylor series of finite differences."""

    order: int = attrs.field(
        default=2, validator=validators.ge(0), metadata={"help": "highest difference; 0 repeats the last residual"}
    )
    first: int = attrs.field(
        default=3,
        validator=validators.ge(0),
        metadata={"help": "first steps, all computed: differences are taken from the last of them on"},
    )
    of: str = attrs.field(  # type: ignore[misc]
        default="residual",
        validator=validators.in_(("residual", "output")),
        metadata={"help": "what is forecast: the span's residual, or its output as the lite form does"},
    )

    @property
    def history(self) -> int:
        return self.order + 1

    def weights(self, computed: Sequence[int], index: int) -> list[float]:
        ahead = index - computed[-1]
        series = cachekit.backward_differences(computed, self.order, first=self.first - 1)
        terms = [ahead**power / math.factorial(power) for power in range(len(series))]
        return [sum(t * row[j] for t, row in zip(terms, series, strict=True)) for j in range(len(computed))]


@cachekit.hookimpl
def cachekit_predictors(register: cachekit.RegisterPredictor) -> None:
    register("taylorseer", TaylorSeer)
