"""L2P: learning to predict (arXiv 2604.26365; Aredstone/L2P-Cache, predictor/train.py, src/flux/model.py).

The transformer's output at step t is forecast as Σ_{s<t} W[t, s] v_s over *all* steps before, those forecast too. W is
learnt on the outputs of a few uncached runs (section 3.2): Adam on the mean square error, each row from the true
outputs before it, starting at repeating the last. The schedules are the published ones, of 50 steps.

The loss is a quadratic form in the outputs' inner products, so those are all that calibration keeps.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import attrs
from attrs import validators

import cachekit
from cachekit_l2p.calibrator import WeightCalibrator
from cachekit_l2p.learnt import Learnt

SCHEDULES = {
    5: (0, 1, 2, 4, 6, 9, 14, 23, 30, 37, 44),
    6: (0, 1, 2, 4, 7, 14, 23, 31, 38, 45),
    7: (0, 1, 2, 4, 9, 17, 26, 35, 43),
    8: (0, 1, 2, 4, 10, 20, 31, 41),
    10: (0, 1, 2, 4, 12, 24, 38),
    16: (0, 1, 2, 4, 16, 32),
}
"""Computed steps of 50, by interval (src/flux/model.py)."""
PUBLISHED_STEPS = 50


@attrs.define
class L2P(cachekit.Strategy):
    """Compute by a published schedule, and forecast with weights learnt for each step."""

    scope: ClassVar[str] = "forward"
    predictor: ClassVar[str] = "learnt"

    interval: int = attrs.field(
        default=7,
        validator=validators.in_(tuple(SCHEDULES)),
        metadata={"help": "which schedule: 5, 6, 7, 8, 10 or 16 steps between computed ones towards the end"},
    )
    computed: int | None = attrs.field(
        default=None,
        validator=validators.optional(validators.ge(3)),
        metadata={"help": "steps to compute in place of a schedule: the first three, then ever further apart"},
    )
    weights: Sequence[Sequence[float]] | None = attrs.field(
        default=None, metadata=cachekit.measured("of each step's output, the weight in the next one's forecast")
    )

    def plan(self, run: cachekit.Run) -> str:
        scale = run.steps / PUBLISHED_STEPS
        chosen = {round(index * scale) if index > 2 else index for index in SCHEDULES[self.interval]}
        if self.computed is not None:
            chosen = widening(run.steps, min(self.computed, run.steps))
        return "".join("X" if index in chosen else "." for index in range(run.steps))

    def fit_predictor(self, run: cachekit.Run) -> cachekit.Predictor:
        if not isinstance(run.predictor, Learnt):
            return run.predictor
        if self.weights is None or len(self.weights) != run.steps:
            raise cachekit.CachekitError(
                f"L2P's weights are learnt for {len(self.weights or ())} steps, one row each, not for {run.steps}; "
                "calibrate with these steps, or choose another predictor"
            )
        return Learnt(self.weights)

    def calibrator(self, conditions: cachekit.Conditions) -> cachekit.Calibrator:
        return WeightCalibrator(conditions)


def widening(steps: int, computed: int) -> set[int]:
    """The first three steps, and others whose distances grow evenly to the end, as the published schedules' do."""
    rest = computed - 3
    positions = {2 + round((steps - 3) * (i / (rest + 1)) ** 1.5) for i in range(1, rest + 1)}
    free = (step for step in range(3, steps) if step not in positions)
    while len(positions) < rest:
        positions.add(next(free))
    return {0, 1, 2} | positions


@cachekit.hookimpl
def cachekit_strategies(register: cachekit.RegisterStrategy) -> None:
    register("l2p", L2P)


@cachekit.hookimpl
def cachekit_predictors(register: cachekit.RegisterPredictor) -> None:
    register("learnt", Learnt)
