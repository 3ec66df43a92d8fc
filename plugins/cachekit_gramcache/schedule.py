"""A run's timesteps: how long each step is, and how much noise is left at it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cachekit_gramcache.outputs import Array


def end_of(timesteps: Sequence[float]) -> float:
    """Where the last step leads: to 0 where timesteps fall, as samplers do; else as far as the step before."""
    falling = len(timesteps) < 2 or timesteps[-1] < timesteps[0]
    return 0.0 if falling else 2 * timesteps[-1] - timesteps[-2]


def step_sizes(timesteps: Sequence[float]) -> Array:
    """h_t, the differences of successive timesteps, `[N]`, which add up to 1."""
    sizes: Array = np.abs(np.diff(np.array(timesteps, dtype=np.float64), append=end_of(timesteps)))
    total = sizes.sum()
    return sizes / total if total > 0 else np.ones(len(sizes)) / len(sizes)


def noise_levels(timesteps: Sequence[float]) -> Array:
    """τ_t, the share of the way that is left before each step, `[N]`: 1 at the first."""
    left: Array = np.abs(np.array(timesteps, dtype=np.float64) - end_of(timesteps))
    return left / left[0] if left[0] > 0 else np.ones(len(left))


def timesteps_of(steps: int, given: Sequence[float] | None, calibrated: Sequence[float]) -> Sequence[float]:
    """The run's timesteps where they are known, else the calibrated schedule at `steps` even positions."""
    if given is not None:
        return given
    positions = np.linspace(0, len(calibrated), steps, endpoint=False)
    stretched = np.interp(positions, np.arange(len(calibrated) + 1), [*calibrated, end_of(calibrated)])
    even: list[float] = stretched.tolist()
    return even
