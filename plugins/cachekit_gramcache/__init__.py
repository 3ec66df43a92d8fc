"""GramCache: the best pattern for a given number of computed steps.

Let r_t be the residual of step t in an uncached run, h_t the sampler's step size and G[s, t] = <r_s, r_t>, summed over
calibration runs. A linear predictor puts Σ_j a[t, j] r_j in the place of a skipped r_t, j over the computed steps it
keeps, so over a stretch of skipped steps between the computed s and e the latents gather the error

    E = Σ_{s<t<e} h_t (r_t - Σ_j a[t, j] r_j),   a combination Σ_i c_i r_i,   with ‖E‖² = cᵀ G c.

The plan is the pattern with `computed` steps whose Σ ‖E‖² over its stretches is least of all such patterns.
"""

from __future__ import annotations

import importlib.resources
import math
from collections.abc import Sequence
from typing import ClassVar

import attrs
import numpy as np
from attrs import validators

import cachekit
from cachekit_gramcache.coherence import coherent_cost, exchanged
from cachekit_gramcache.planning import Plans, plan_all
from cachekit_gramcache.schedule import gram_at, step_sizes, timesteps_of
from cachekit_gramcache.validation import check_gram, check_timesteps, finite, linear, whole


@attrs.define
class GramCache(cachekit.Strategy):
    """Compute a given number of steps, those with which the calibrated error is least."""

    predictor: ClassVar[str] = "taylor"

    computed: int | None = attrs.field(
        default=None,
        validator=validators.optional([whole, validators.ge(1)]),
        metadata={"help": "steps to compute; none for as many as `speedup` leaves"},
    )
    speedup: float = attrs.field(
        default=2.5,
        validator=[finite, validators.ge(1)],
        metadata={"help": "ideal speedup to reach where `computed` is not given: steps / computed"},
    )
    max_gap: int = attrs.field(
        default=6,
        validator=[whole, validators.ge(1)],
        metadata={"help": "longest stretch of skipped steps"},
    )
    coherence: float = attrs.field(
        default=0.0,
        validator=[finite, validators.ge(0), validators.le(1)],
        metadata={"help": "how far errors of different stretches add up; above 0 the plan is improved by exchanges"},
    )
    gram: Sequence[Sequence[float]] | None = attrs.field(
        default=None,
        validator=validators.optional(check_gram),
        metadata=cachekit.measured("inner products of the residuals of all pairs of steps, summed over runs"),
    )
    timesteps: Sequence[float] | None = attrs.field(
        default=None,
        validator=validators.optional(check_timesteps),
        metadata=cachekit.measured("the timestep of each step of the runs measured"),
    )
    _planned: tuple[cachekit.Run, str] | None = attrs.field(default=None, init=False, repr=False, eq=False)
    """The last plan, since every video of a series asks for the same."""

    def plan(self, run: cachekit.Run) -> str:
        if self._planned is None or not alike(self._planned[0], run):
            self._planned = (run, self.best(self.plans(run), self.count(run)))
        return self._planned[1]

    def plans(self, run: cachekit.Run) -> Plans:
        """The best pattern of every number of computed steps in this run, with its cost."""
        predictor = linear(run.predictor)
        if self.gram is None or self.timesteps is None:
            raise cachekit.CachekitError(
                "gramcache needs gram and timesteps, measured on this model: make a profile with "
                "`cachekit calibrate gramcache` and give it as profile="
            )
        timesteps = timesteps_of(run.steps, run.timesteps, self.timesteps)
        gram = gram_at(timesteps, np.array(self.gram), self.timesteps)
        return plan_all(gram, step_sizes(timesteps), predictor, self.max_gap)

    def best(self, plans: Plans, count: int) -> str:
        """The best pattern of so many computed steps: exact where stretches are taken to be unrelated."""
        pattern = plans.pattern(count)
        if self.coherence == 0:
            return pattern
        return exchanged(pattern, plans.gram, plans.sizes, plans.predictor, self.max_gap, self.coherence)

    def count(self, run: cachekit.Run) -> int:
        """How many steps to compute; CachekitError where no pattern has so many."""
        count = self.computed if self.computed is not None else math.floor(run.steps / self.speedup + 1e-9)
        least = math.ceil(run.steps / (self.max_gap + 1))
        if count > run.steps:
            raise cachekit.CachekitError(f"{count} steps can't be computed of {run.steps}; set computed to less")
        if count < min(history := linear(run.predictor).history, run.steps):
            raise cachekit.CachekitError(
                f"{count} computed steps are fewer than the {history} that {type(run.predictor).__name__} predicts "
                "from; compute more, or choose a predictor of lower order"
            )
        if count < least:
            raise cachekit.CachekitError(
                f"{count} computed steps of {run.steps} leave a stretch longer than max_gap {self.max_gap}; "
                f"compute at least {least}, or set max_gap to {math.ceil(run.steps / max(count, 1)) - 1} or more"
            )
        return count

    def outlook(self, run: cachekit.Run) -> cachekit.Outlook:
        plans = self.plans(run)
        way = plans.sizes @ plans.gram @ plans.sizes
        rows: list[tuple[int | float | str, ...]] = []
        for count in range(plans.predictor.history, run.steps + 1):
            if math.isfinite(plans.costs[count]):
                pattern = self.best(plans, count)
                cost = coherent_cost(pattern, plans.gram, plans.sizes, plans.predictor, self.coherence)
                error = 100 * math.sqrt(cost / way)
                rows.append((count, round(run.steps / count, 2), float(f"{error:.3g}"), pattern))
        return cachekit.Outlook(
            title="predicted error of each number of computed steps, in % of the way that all residuals go",
            columns=("computed", "ideal speedup", "predicted error %", "pattern"),
            rows=tuple(rows),
        )

    def calibrator(self, conditions: cachekit.Conditions) -> cachekit.Calibrator:
        from cachekit_gramcache.calibrator import GramCalibrator

        return GramCalibrator(conditions)


def alike(run: cachekit.Run, other: cachekit.Run) -> bool:
    """Whether two runs have the same plan."""
    return (run.steps, run.timesteps) == (other.steps, other.timesteps) and run.predictor is other.predictor


@cachekit.hookimpl
def cachekit_strategies(register: cachekit.hooks.RegisterStrategy) -> None:
    register("gramcache", GramCache, profiles=importlib.resources.files(__name__) / "profiles")
