"""MagCache: fast video generation with magnitude-aware cache (arXiv 2506.09045).

The magnitude ratio of step t is the mean over tokens of |residual_t| / |residual_{t-1}|; it hardly depends on the
prompt, so it is measured once (section 3.1). Reusing the residual of a computed step through steps 1..k after it is
taken to err by |1 - Π ratios| at each; the errors of a stretch are summed, and the stretch ends when the sum would
pass `thresh` or its length `K` (section 3.3).
"""

import importlib.resources
import itertools
import math
import warnings
from collections.abc import Sequence

import attrs
from attrs import validators

import cachekit
from cachekit import finite
from cachekit_magcache.validation import check_ratios


@attrs.define
class MagCache(cachekit.Strategy):
    """Skip while the product of the residuals' magnitude ratios stays near 1."""

    thresh: float = attrs.field(
        default=0.12,
        validator=[finite, validators.ge(0)],
        metadata={"help": "summed error that a stretch of skipped steps may reach"},
    )
    K: int = attrs.field(default=3, validator=validators.ge(1), metadata={"help": "longest stretch of skipped steps"})
    retention_ratio: float = attrs.field(
        default=0.2,
        validator=[finite, validators.ge(0), validators.le(1)],
        metadata={"help": "share of the first steps that are always computed"},
    )
    ratios: Sequence[float | Sequence[float]] | None = attrs.field(
        default=None,
        validator=validators.optional(check_ratios),
        metadata=cachekit.measured("magnitude ratios of steps 1 to N-1, or such a list for each branch"),
    )

    def plan(self, run: cachekit.Run) -> str:
        ratios = ratios_for(self.ratios or (), run, by_hand=self.measured_steps is None)
        first_free = int(run.steps * self.retention_ratio)
        pattern, product, error, skipped = "", 1.0, 0.0, 0
        for index in range(run.steps):
            skip = False
            if index >= max(first_free, 1):
                product *= ratios[index - 1]
                error += abs(1 - product)
                skipped += 1
                skip = error <= self.thresh and skipped <= self.K
            if not skip:
                product, error, skipped = 1.0, 0.0, 0
            pattern += "." if skip else "X"
        return pattern

    def calibrator(self, conditions: cachekit.Conditions) -> cachekit.Calibrator:
        from cachekit_magcache.calibrator import RatioCalibrator

        return RatioCalibrator(conditions)


FEW = 0.5
"""Share of the steps measured below which a run's own strides are too long for the nearest ratio to stand for them."""


def ratios_for(ratios: Sequence[float | Sequence[float]], run: cachekit.Run, *, by_hand: bool) -> list[float]:
    """The ratios of this run's steps 1 to N-1, of its branch where each has its own.

    A list given by hand with an entry for every step is refused as a mistake; of a profile, N ratios are those of N + 1
    steps. Runs of other lengths take the nearest ratio, as the published code does; those of less than half the steps
    measured take the product of all that a stride passes over.
    """
    if any(isinstance(entry, Sequence) for entry in ratios):
        if run.branch >= len(ratios):
            raise cachekit.CachekitError(
                f"ratios holds lists for {len(ratios)} branches, but the pipeline makes more calls a step; "
                "calibrate with the same calls_per_step, or give one list for all"
            )
        ratios = ratios[run.branch]  # type: ignore[assignment]
    numbers = [entry for entry in ratios if isinstance(entry, (int, float))]
    if by_hand and len(numbers) == run.steps:
        raise cachekit.CachekitError(
            f"ratios has {len(numbers)} entries for {run.steps} steps, but takes {run.steps - 1}: "
            "entry i-1 is step i's, and step 0 has none"
        )
    if run.steps < FEW * (len(numbers) + 1):
        warnings.warn(
            f"MagCache's ratios were measured on runs of {len(numbers) + 1} steps, and of {run.steps} each is so long "
            "that they say little of it; calibrate with these steps, or run without a cache",
            cachekit.CachekitWarning,
            stacklevel=2,
        )
        return compounded(numbers, run.steps - 1)
    return nearest(numbers, run.steps - 1)


def compounded(values: Sequence[float], count: int) -> list[float]:
    """`count` ratios over strides that share the measured steps evenly, each the product of those it passes over."""
    ends = [round(i * len(values) / count) for i in range(count + 1)] if count else [0]
    return [math.prod(values[start:end]) for start, end in itertools.pairwise(ends)]


def nearest(values: Sequence[float], count: int) -> list[float]:
    """`values` at `count` positions spread over them, each the nearest one (as the published code interpolates)."""
    if len(values) == count or count == 0:
        return list(values)[:count]
    if count == 1:
        return [values[-1]]
    scale = (len(values) - 1) / (count - 1)
    return [values[round(i * scale)] for i in range(count)]


@cachekit.hookimpl
def cachekit_strategies(register: cachekit.RegisterStrategy) -> None:
    register("magcache", MagCache, profiles=importlib.resources.files(__name__) / "profiles")
