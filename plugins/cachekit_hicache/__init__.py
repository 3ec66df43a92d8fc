"""HiCache: training-free acceleration via Hermite polynomial feature forecasting (arXiv 2508.16984).

TaylorSeer with another basis (section 3.3): with Δ^i F the finite differences at the last computed step, k steps later
F is forecast as F + Σ_{i≥1} Δ^i F / i! · H̃_i(k), H̃_i(x) = σ^i H_i(σx), H the physicists' Hermite polynomials, whose two
scalings keep high orders small. At order 1, H̃₁(k) = 2σ²k: with σ = ½ that is `damped` at slope ½.

The sign is that of the port Archerkattri/hicache-plus-plus (hicache_pp/hermite.py, MIT), which puts right the paper's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import attrs
from attrs import validators

import cachekit


@attrs.define
class HiCache(cachekit.LinearPredictor):
    """Forecast with scaled Hermite polynomials of finite differences."""

    order: int = attrs.field(default=1, validator=validators.ge(1), metadata={"help": "highest difference"})
    sigma: float = attrs.field(
        default=0.5,
        validator=[validators.gt(0), validators.lt(1)],
        metadata={"help": "contraction of the polynomials; at order 1 the slope is damped to 2σ²"},
    )
    of: str = attrs.field(  # type: ignore[misc]
        default="residual",
        validator=validators.in_(("residual", "output")),
        metadata={"help": "what is forecast: the span's residual, or its output"},
    )

    @property
    def history(self) -> int:
        return self.order + 1

    def weights(self, computed: Sequence[int], index: int) -> list[float]:
        ahead = index - computed[-1]
        series = cachekit.backward_differences(computed, self.order)
        terms = [self.hermite(i, ahead) / math.factorial(i) if i else 1.0 for i in range(len(series))]
        return [sum(t * row[j] for t, row in zip(terms, series, strict=True)) for j in range(len(computed))]

    def hermite(self, degree: int, x: float) -> float:
        """H̃_n(x) = σⁿ H_n(σx), with H_{n+1}(y) = 2y H_n(y) - 2n H_{n-1}(y)."""
        y, before, now = self.sigma * x, 0.0, 1.0
        for n in range(degree):
            before, now = now, 2 * y * now - 2 * n * before
        return self.sigma**degree * now


@cachekit.hookimpl
def cachekit_predictors(register: cachekit.RegisterPredictor) -> None:
    register("hicache", HiCache)
