"""GramCache: the best pattern for a given number of computed steps.

Let y_t be the body's output at step t of an uncached run, normalised as the final layer does, and s_t its scale before
that; h_t the sampler's step size, τ_t the noise level, and G[s, t] = <y_s, y_t>, summed over calibration runs. A linear
predictor puts Σ_j a[t, j] r_j in the place of a skipped residual, j over the computed steps it keeps, which the final
layer sees as Σ_j b[t, j] y_j with b[t, j] = a[t, j] s_j / Σ_k a[t, k] s_k. Over a stretch of skipped steps between the
computed s and e the sampler gathers the error

    E = Σ_{s<t<e} h_t √τ_t (y_t - Σ_j b[t, j] y_j),   a combination Σ_i c_i y_i,   with ‖E‖² = cᵀ G c.

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
from cachekit import Damped, finite, parameter_values
from cachekit_gramcache.correcting import Correction, StretchCorrector
from cachekit_gramcache.outputs import Array, Outputs
from cachekit_gramcache.planning import Plans, plan_all
from cachekit_gramcache.schedule import noise_levels, step_sizes, timesteps_of
from cachekit_gramcache.slopes import FittedSlopes
from cachekit_gramcache.validation import (
    check_count,
    check_gram,
    check_scales,
    check_timesteps,
    linear,
    longest_gap,
    plain,
    retained_steps,
    whole,
)


@attrs.define
class GramCache(cachekit.Strategy):
    """Compute a given number of steps, those with which the calibrated error is least."""

    predictor: ClassVar[str] = "damped"

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
    max_gap: int | None = attrs.field(
        default=None,
        validator=validators.optional([whole, validators.ge(1)]),
        metadata={"help": "longest stretch of skipped steps; none for 1¾ w or 0.4 w², w being steps / computed"},
    )
    retention_ratio: float = attrs.field(
        default=0.15,
        validator=[finite, validators.ge(0), validators.le(1)],
        metadata={
            "help": "share of the steps, the first ones, that are always computed; at most half of the computed ones"
        },
    )
    pull: float = attrs.field(
        default=0.5,
        validator=[finite, validators.ge(0)],
        metadata={"help": "how strongly each step's slope is held to the damped predictor's, against the measured one"},
    )
    correction: float = attrs.field(
        default=1.0,
        validator=[finite, validators.ge(0), validators.le(1)],
        metadata={"help": "how much of what skipped steps got wrong is made good at the next computed one; 0: nothing"},
    )
    gram: Sequence[Sequence[float]] | None = attrs.field(
        default=None,
        converter=plain,
        validator=validators.optional(check_gram),
        metadata=cachekit.measured("inner products of the normalised outputs of all pairs of steps, summed over runs"),
    )
    scales: Sequence[float] | None = attrs.field(
        default=None,
        converter=plain,
        validator=validators.optional(check_scales),
        metadata=cachekit.measured("the outputs' standard deviation at each step, before they are normalised"),
    )
    timesteps: Sequence[float] | None = attrs.field(
        default=None,
        converter=plain,
        validator=validators.optional(check_timesteps),
        metadata=cachekit.measured("the timestep of each step of the runs measured"),
    )
    _planned: tuple[object, str] | None = attrs.field(default=None, init=False, repr=False, eq=False)
    """The last plan and all that it depended on, since every video of a series asks for the same."""

    def plan(self, run: cachekit.Run) -> str:
        predictor = linear(run.predictor)
        known = (run.steps, run.timesteps, run.euler)
        asked = (*known, type(predictor), parameter_values(predictor), parameter_values(self))
        if self._planned is None or self._planned[0] != asked:
            count = self.count(run)
            check_count(count, run.steps, predictor, ratio=self.retention_ratio, max_gap=self.max_gap)
            self._planned = (asked, self.plans(run, **self.bounds(run, count)).pattern(count))
        return self._planned[1]

    def fit_predictor(self, run: cachekit.Run) -> cachekit.Predictor:
        if type(run.predictor) is not Damped:
            return run.predictor
        timesteps = self.schedule(run)
        return FittedSlopes(
            run.predictor.slope,
            pull=self.pull,
            outputs=self.outputs(run),
            sizes=step_sizes(timesteps),
            noise=noise_levels(timesteps),
        )

    def plans(self, run: cachekit.Run, *, retained: int, max_gap: int) -> Plans:
        """The best pattern of every number of computed steps, the first `retained` among them, with its cost."""
        return plan_all(
            self.outputs(run),
            self.sizes(run),
            linear(self.fit_predictor(run)),
            max_gap=max_gap,
            retained=retained,
            correction=self.correcting(run),
        )

    def bounds(self, run: cachekit.Run, count: int) -> dict[str, int]:
        """Within what the plan of so many computed steps is sought."""
        return {
            "retained": retained_steps(count, run.steps, self.retention_ratio),
            "max_gap": longest_gap(count, run.steps, self.max_gap),
        }

    def corrector(self, run: cachekit.Run) -> cachekit.Corrector | None:
        correction = self.correcting(run)
        if correction is None:
            return None
        correction.foresee(self.plan(run))
        return StretchCorrector(correction)

    def correcting(self, run: cachekit.Run) -> Correction | None:
        """How stretches are corrected; None where the sampler is not known to add outputs as they are."""
        if not run.euler or self.correction == 0:
            return None
        timesteps = self.schedule(run)
        return Correction(
            outputs=self.outputs(run),
            sizes=step_sizes(timesteps),
            noise=noise_levels(timesteps),
            predictor=linear(self.fit_predictor(run)),
            strength=self.correction,
        )

    def outputs(self, run: cachekit.Run) -> Outputs:
        """What was measured, at this run's timesteps."""
        gram, scales, calibrated = self.measurement()
        timesteps = timesteps_of(run.steps, run.timesteps, calibrated)
        return Outputs(np.array(gram), np.array(scales)).at(timesteps, calibrated)

    def schedule(self, run: cachekit.Run) -> Sequence[float]:
        """The timesteps of this run."""
        return timesteps_of(run.steps, run.timesteps, self.measurement()[2])

    def sizes(self, run: cachekit.Run) -> Array:
        """h_t √τ_t of this run, `[N]`: early errors count for more, since the steps after them carry them on."""
        timesteps = self.schedule(run)
        sizes: Array = step_sizes(timesteps) * np.sqrt(noise_levels(timesteps))
        return sizes

    def measurement(self) -> tuple[Sequence[Sequence[float]], Sequence[float], Sequence[float]]:
        """`gram`, `scales` and `timesteps`; CachekitError where one is missing."""
        if self.gram is None or self.scales is None or self.timesteps is None:
            raise cachekit.CachekitError(
                "GramCache needs gram, scales and timesteps, measured on this model: measure a profile with "
                "`cachekit calibrate gramcache` and attach by name with profile=, or give its values here"
            )
        return self.gram, self.scales, self.timesteps

    def count(self, run: cachekit.Run) -> int:
        """How many steps to compute; a short run as many as the predictor needs."""
        if self.computed is not None:
            return self.computed
        needed = min(linear(run.predictor).history, run.steps)
        return max(math.floor(run.steps / self.speedup + 1e-9), needed)

    def outlook(self, run: cachekit.Run) -> cachekit.Outlook:
        gram, sizes = self.outputs(run).gram, self.sizes(run)
        way, known = sizes @ gram @ sizes, dict[tuple[int, ...], Plans]()
        rows: list[tuple[int | float | str, ...]] = []
        for count in range(linear(run.predictor).history, run.steps + 1):
            bounds = self.bounds(run, count)
            within = tuple(bounds.values())
            plans = known[within] = known[within] if within in known else self.plans(run, **bounds)
            if math.isfinite(plans.costs[count]):
                error = 100 * math.sqrt(plans.costs[count] / way)
                rows.append((count, round(run.steps / count, 2), float(f"{error:.3g}"), plans.pattern(count)))
        return cachekit.Outlook(
            title="predicted error of each number of computed steps, in % of the way that all outputs go",
            columns=("computed", "ideal speedup", "predicted error %", "pattern"),
            rows=tuple(rows),
        )

    def calibrator(self, conditions: cachekit.Conditions) -> cachekit.Calibrator:
        from cachekit_gramcache.calibrator import GramCalibrator

        return GramCalibrator(conditions)


@cachekit.hookimpl
def cachekit_strategies(register: cachekit.RegisterStrategy) -> None:
    register("gramcache", GramCache, profiles=importlib.resources.files(__name__) / "profiles")
