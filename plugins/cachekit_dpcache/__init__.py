"""DPCache: denoising as a path (arXiv 2602.22654), from its port in sglang (runtime/cache/dpcache.py, Apache-2.0).

Offline, E[i, j, t] is how far a step t is from what is predicted for it with i and j < t the last two computed steps;
C[i, j, k] = Σ_{j<t<k} E[i, j, t] is the cost of computing next at k (section 3.2, path-aware cost). An exact dynamic
program over pairs of computed steps finds the schedule of `computed` steps whose costs add up to the least (section
3.3); the first three are computed. The prediction is the line through the last two outputs.

The paper's E is the mean absolute error, which only the tensors themselves tell; here it is the root of the mean square
error, which inner products tell for every linear predictor of at most two steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import attrs
import numpy as np
from attrs import validators

import cachekit
from cachekit_dpcache.calibrator import OutputCalibrator
from cachekit_dpcache.planning import Array, best_path, resampled, step_errors

FORCED = 3
"""First steps, which are always computed."""


@attrs.define
class DPCache(cachekit.Strategy):
    """Compute the steps with which the measured errors of prediction add up to the least."""

    predictor: ClassVar[str] = "taylorseer:order=1:first=1:of=output"

    computed: int = attrs.field(
        default=12, validator=validators.ge(FORCED), metadata={"help": "steps to compute, the first three among them"}
    )
    force_last: bool = attrs.field(default=False, metadata={"help": "whether the last step is computed in any case"})
    max_gap: int | None = attrs.field(
        default=None,
        validator=validators.optional(validators.ge(1)),
        metadata={"help": "greatest distance between computed steps; none for any"},
    )
    gram: Sequence[Sequence[float]] | None = attrs.field(
        default=None, metadata=cachekit.measured("inner products of the body's outputs of all pairs of steps")
    )

    def plan(self, run: cachekit.Run) -> str:
        predictor = run.predictor
        if not isinstance(predictor, cachekit.LinearPredictor) or predictor.history > 2:
            raise cachekit.CachekitError(
                "dpcache plans for linear predictors of at most two computed steps, not for "
                f"{type(predictor).__name__}; use its own, reuse, damped or hicache"
            )
        return self.pattern(step_errors(resampled(np.array(self.gram), run.steps), predictor))

    def pattern(self, errors: Array) -> str:
        """The plan for errors E[i, j, t]."""
        steps = len(errors)
        if self.computed >= steps:
            return "X" * steps
        chosen = best_path(errors, self.computed, FORCED, force_last=self.force_last, max_gap=self.max_gap)
        if chosen is None:
            raise cachekit.CachekitError(
                f"{self.computed} of {steps} steps leave a gap longer than max_gap {self.max_gap}; set either higher"
            )
        return "".join("X" if index in chosen else "." for index in range(steps))

    def calibrator(self, conditions: cachekit.Conditions) -> cachekit.Calibrator:
        return OutputCalibrator(conditions)


@cachekit.hookimpl
def cachekit_strategies(register: cachekit.RegisterStrategy) -> None:
    register("dpcache", DPCache)
