"""CEM: cumulative error minimization (arXiv 2512.23258; leaves162/CEM, FLUX and Wan21 CEM_utils/DCS_module.py).

Offline, E[C][t] is the error of standing at step t with what was computed C steps before (section 3.2): 1 - cos between
the token means of the body's outputs at t and t - C, a mean over prompts. The cost of a gap g that lands on the
computed step t is W(C) · Σ_{u≤t} E[C][u], C = g - 1, and the plan is the pattern of `computed` steps whose costs add up
to the least (section 3.3), with first and last step computed and each gap within round(N / computed) ± `interval`.

The paper's errors are those of reuse. For a predictor that combines residuals they are measured with what it would
predict, from the same inner products, its computed steps being taken as evenly spaced.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import numpy as np
from attrs import validators

import cachekit
from cachekit_cem.calibrator import MeanTokenCalibrator
from cachekit_cem.planning import LONGEST, Array, least_cost, predicted_errors, resampled

WEIGHTS = {"none": 0, "linear": 1, "quadratic": 2}
"""Power of C that weighs the cost of a gap."""


@attrs.define
class CEM(cachekit.Strategy):
    """Compute the steps with which the measured errors add up to the least."""

    computed: int = attrs.field(
        default=12, validator=validators.ge(2), metadata={"help": "steps to compute (FLUX: 19 of 50, Wan: 9)"}
    )
    interval: int = attrs.field(
        default=1, validator=validators.ge(0), metadata={"help": "how far a gap may be from the even one"}
    )
    weight: str = attrs.field(
        default="quadratic",
        validator=validators.in_(tuple(WEIGHTS)),
        metadata={"help": "how much longer gaps cost beyond their error: none, linear or quadratic"},
    )
    cumulative: bool = attrs.field(
        default=True, metadata={"help": "whether errors add up over the steps before (FLUX), or count alone (Wan)"}
    )
    gap_rules: Sequence[tuple[int, int, Sequence[int]]] = attrs.field(
        default=(),
        metadata={"help": "(first, end, gaps): the gaps that may follow a computed step from first to before end"},
    )
    gram: Sequence[Sequence[float]] | None = attrs.field(
        default=None,
        metadata=cachekit.measured("cosines between the mean tokens of the outputs of all pairs of steps"),
    )

    def plan(self, run: cachekit.Run) -> str:
        errors = predicted_errors(resampled(np.array(self.gram), run.steps), run.predictor)
        return self.pattern(errors)

    def pattern(self, errors: Array) -> str:
        """The plan for errors `[C - 1, t]`, of C up to 9 skipped steps."""
        steps = errors.shape[1]
        costs = np.cumsum(errors, axis=1) if self.cumulative else errors.copy()
        costs = costs * np.arange(1, LONGEST)[:, None] ** WEIGHTS[self.weight]
        costs[costs == 0] = np.inf
        even = round(steps / self.computed)
        gaps = range(max(1, even - self.interval), min(LONGEST, even + self.interval) + 1)

        def allowed(step: int) -> Sequence[int]:
            return next((rule for first, end, rule in self.gap_rules if first <= step < end), gaps)

        chosen = least_cost(np.vstack([np.zeros(steps), costs]), self.computed, allowed)
        if chosen is None:
            raise cachekit.CachekitError(
                f"cem finds no pattern of {self.computed} in {steps} steps with gaps {gaps.start} to {gaps.stop - 1}; "
                "set interval higher, or computed nearer to a divisor of the steps"
            )
        return "".join("X" if index in chosen else "." for index in range(steps))

    def calibrator(self, conditions: cachekit.Conditions) -> cachekit.Calibrator:
        return MeanTokenCalibrator(conditions)


@cachekit.hookimpl
def cachekit_strategies(register: cachekit.RegisterStrategy) -> None:
    register("cem", CEM)
