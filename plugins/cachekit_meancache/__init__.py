"""MeanCache: from instantaneous to average velocity (arXiv 2601.19961; UnicomAI/MeanCache, MeanCache4Z-Image).

On a skipped step the velocity is carried on by its change along the path (section 3.2, predictor `jvp`, in
`velocity.py`), seen over a window of K steps. Which steps are computed, and which window each stretch has, is a
shortest path (section 3.3), measured offline.

The published planner is not public, but its plans are; this one is written as the paper is understood: an edge from the
computed step s over g skipped ones costs ‖Σ h (forecast - true)‖ over them, h the sampler's step sizes, with the window
that makes it least, and of all paths through so many computed steps the one of least sum is taken.
"""

from __future__ import annotations

import importlib.resources
from collections.abc import Sequence
from typing import ClassVar

import attrs
from attrs import validators

import cachekit
from cachekit_meancache.calibrator import VelocityCalibrator
from cachekit_meancache.velocity import Jvp


@attrs.define
class MeanCache(cachekit.Strategy):
    """Compute the steps of a measured path, and carry the velocity on along the window measured for each stretch."""

    scope: ClassVar[str] = "forward"
    predictor: ClassVar[str] = "jvp"

    computed: int = attrs.field(default=12, validator=validators.ge(1), metadata={"help": "steps to compute"})
    patterns: Sequence[str] | None = attrs.field(
        default=None, metadata=cachekit.measured("the best pattern of each number of computed steps")
    )
    windows: Sequence[Sequence[int]] | None = attrs.field(
        default=None, metadata=cachekit.measured("of each pattern, the window of each step")
    )
    toward: str | None = attrs.field(
        default=None,
        validator=validators.optional(validators.in_(("noise", "data"))),
        metadata=cachekit.measured("where the model's velocity points"),
    )

    def plan(self, run: cachekit.Run) -> str:
        return self._planned(run)[0]

    def fit_predictor(self, run: cachekit.Run) -> cachekit.Predictor:
        if type(run.predictor) is not Jvp:
            return run.predictor
        toward = self.toward or run.predictor.toward
        return attrs.evolve(run.predictor, windows=self._planned(run)[1], timesteps=run.timesteps, toward=toward)

    def _planned(self, run: cachekit.Run) -> tuple[str, Sequence[int]]:
        if self.computed >= run.steps:
            return "X" * run.steps, [1] * run.steps
        plans = zip(self.patterns or (), self.windows or (), strict=True)
        known = {pattern.count("X"): (pattern, windows) for pattern, windows in plans if len(pattern) == run.steps}
        if self.computed not in known:
            raise cachekit.CachekitError(
                f"meancache has no plan of {self.computed} in {run.steps} steps, but of {sorted(known) or 'none'}; "
                "set computed to one of them, or calibrate with these steps"
            )
        return known[self.computed]

    def calibrator(self, conditions: cachekit.Conditions) -> cachekit.Calibrator:
        return VelocityCalibrator(conditions)


@cachekit.hookimpl
def cachekit_strategies(register: cachekit.RegisterStrategy) -> None:
    register("meancache", MeanCache, profiles=importlib.resources.files(__name__) / "profiles")


@cachekit.hookimpl
def cachekit_predictors(register: cachekit.RegisterPredictor) -> None:
    register("jvp", Jvp)
