"""FoCa: forecast then calibrate, feature caching as an ODE (arXiv 2508.16211), as cache-dit has it.

The features of the steps are taken for the solution of an ODE. Heun's rule, anchored at the last computed step F_c
(section 3.3): e steps later F_c + e/2 · (d_c + d), d_c = F_c - F_c' the way between the last two computed steps and
d = F₋₁ - F₋₂ that between the last two steps of all, forecasts among them. Beyond 3 steps the forecast is drawn back to
F_c. The simplification is cache-dit's (caching/cache_contexts/calibrators/foca.py, Apache-2.0): the paper has a BDF2
predictor before the corrector.
"""

from __future__ import annotations

import attrs
from attrs import validators

import cachekit
from cachekit import Residual, add, combine, subtract

HORIZON = 3
"""Steps up to which the forecast goes on."""


@attrs.define
class FoCa(cachekit.Predictor):
    """Forecast by Heun's rule from the last computed step, on what was computed and forecast before."""

    of: str = attrs.field(
        default="residual",
        validator=validators.in_(("residual", "output")),
        metadata={"help": "what is forecast: the span's residual, or its output"},
    )
    _index: int = attrs.field(default=0, init=False, repr=False)
    _computed: list[Residual] = attrs.field(factory=list, init=False, repr=False)
    """The features of the last two computed steps."""
    _latest: list[Residual] = attrs.field(factory=list, init=False, repr=False)
    """Of the last two steps, computed or forecast."""

    def update(self, step: cachekit.Step, residual: Residual) -> None:
        feature = residual if self.of == "residual" else add(step.hidden, residual)
        self._index = step.index
        self._computed = [*self._computed, feature][-2:]
        self._latest = [*self._latest, feature][-2:]

    def predict(self, step: cachekit.Step) -> Residual:
        feature = self.forecast(step.index - self._index)
        return feature if self.of == "residual" else subtract(feature, step.hidden)

    def forecast(self, elapsed: int) -> Residual:
        """The feature `elapsed` steps after the last computed one."""
        if len(self._computed) < 2:
            return self._computed[-1]
        half = min(elapsed, HORIZON) / 2 * min(1.0, HORIZON / elapsed)
        weights = [1 + half, -half, half, -half]
        (before, computed), (second, latest) = self._computed, self._latest
        feature = combine(weights, [computed, before, latest, second])
        self._latest = [latest, feature]
        return feature


@cachekit.hookimpl
def cachekit_predictors(register: cachekit.RegisterPredictor) -> None:
    register("foca", FoCa)
