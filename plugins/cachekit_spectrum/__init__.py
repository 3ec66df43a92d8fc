"""Spectrum: adaptive spectral feature forecasting (arXiv 2603.01623; hanjq17/Spectrum, src/utils/basis_utils.py, MIT).

The body's output at step t is taken for Σ_m c_m T_m(τ), T_m Chebyshev's polynomials and τ the step on [-1, 1] over the
run. The coefficients are fitted to all computed steps by ridge regression (section 3.2), c = (XᵀX + λI)⁻¹ Xᵀ H, so the
forecast x(τ)ᵀ c is a weighted sum of the computed outputs. A share 1 - w of it may be the line through the last two.
Its schedule is `interval:n=2:growth=0.75`, after a warm-up of 5.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import numpy as np
from attrs import validators
from numpy.polynomial import chebyshev

import cachekit
from cachekit import finite


@attrs.define
class Spectrum(cachekit.LinearPredictor):
    """Forecast the output with a ridge of Chebyshev polynomials through all computed steps."""

    degree: int = attrs.field(default=4, validator=validators.ge(0), metadata={"help": "highest polynomial (M)"})
    ridge: float = attrs.field(
        default=0.1, validator=[finite, validators.gt(0)], metadata={"help": "regularization λ of the fit"}
    )
    w: float = attrs.field(
        default=1.0,
        validator=[validators.ge(0), validators.le(1)],
        metadata={"help": "share of the fit, against the line through the last two (0.5 to 1 are advised)"},
    )
    spread: int = attrs.field(
        default=50, validator=validators.ge(1), metadata={"help": "steps over which τ goes from -1 to 1"}
    )
    kept: int = attrs.field(
        default=100, validator=validators.ge(2), metadata={"help": "computed steps that are kept, each a whole output"}
    )
    of: str = attrs.field(  # type: ignore[misc]
        default="output",
        validator=validators.in_(("residual", "output")),
        metadata={"help": "what is forecast: the span's output, as published, or its residual"},
    )

    @property
    def history(self) -> int:
        return self.kept

    def weights(self, computed: Sequence[int], index: int) -> list[float]:
        taus = 2 * np.array([*computed, index]) / self.spread - 1
        *rows, asked = chebyshev.chebvander(taus, self.degree)
        fitted = np.array(rows)
        normal = fitted.T @ fitted + self.ridge * np.eye(self.degree + 1)
        weights = self.w * (np.linalg.solve(normal, fitted.T).T @ asked)
        ahead = (index - computed[-1]) / (computed[-1] - computed[-2]) if len(computed) > 1 else 0.0
        weights[-1] += (1 - self.w) * (1 + ahead)
        if len(computed) > 1:
            weights[-2] -= (1 - self.w) * ahead
        return [float(weight) for weight in weights]


@cachekit.hookimpl
def cachekit_predictors(register: cachekit.RegisterPredictor) -> None:
    register("spectrum", Spectrum)
