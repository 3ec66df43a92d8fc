"""From the calibrated run's timesteps to those of another run."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def step_sizes(timesteps: Sequence[float]) -> Array:
    """h_t, the differences of successive timesteps, `[N]`, which add up to 1.

    The last step goes to 0 where timesteps fall, as samplers do; where they rise it is as long as the one before.
    """
    steps = np.array(timesteps, dtype=np.float64)
    falling = len(steps) < 2 or steps[1] < steps[0]
    end = 0.0 if falling else 2 * steps[-1] - steps[-2]
    sizes: Array = np.abs(np.diff(steps, append=end))
    total = sizes.sum()
    return sizes / total if total > 0 else np.ones(len(steps)) / len(steps)


def timesteps_of(steps: int, given: Sequence[float] | None, calibrated: Sequence[float]) -> Sequence[float]:
    """The run's timesteps where they are known, else the calibrated schedule at `steps` even positions."""
    if given is not None:
        return given
    positions = np.linspace(0, len(calibrated), steps, endpoint=False)
    following = 0.0 if len(calibrated) < 2 or calibrated[1] < calibrated[0] else 2 * calibrated[-1] - calibrated[-2]
    even: list[float] = np.interp(positions, np.arange(len(calibrated) + 1), [*calibrated, following]).tolist()
    return even


def gram_at(timesteps: Sequence[float], gram: Array, calibrated: Sequence[float]) -> Array:
    """G' = W G Wᵀ, `[len(timesteps)] * 2`, with W interpolating the residuals linearly in timestep."""
    if tuple(timesteps) == tuple(calibrated):
        return gram
    order = np.argsort(calibrated)
    units = np.eye(len(calibrated))
    weights = np.stack([np.interp(timesteps, np.array(calibrated)[order], unit[order]) for unit in units], axis=1)
    interpolated: Array = weights @ gram @ weights.T
    return interpolated
