"""CEM's dynamic programming (arXiv 2512.23258, section 3.3), and its errors for any linear predictor."""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

import cachekit

Array: TypeAlias = npt.NDArray[np.float64]

LONGEST = 10
"""Longest gap: 9 skipped steps are measured."""


def least_cost(costs: Array, computed: int, allowed: Callable[[int], Container[int]]) -> set[int] | None:
    """The steps, first and last among them, of least Σ costs[gap - 1, t] over the gaps landing at t; None if none.

    `allowed` says which gaps may follow a computed step. Of equal ways the one with the shortest last gap is taken, as
    the published code does.
    """
    steps = costs.shape[1]
    best, before = np.full((steps, computed + 1), np.inf), np.full((steps, computed + 1), -1)
    best[0, 1] = 0.0
    for count in range(2, computed + 1):
        for step in range(1, steps):
            for gap in range(1, min(LONGEST, step) + 1):
                if gap not in allowed(step - gap):
                    continue
                cost = best[step - gap, count - 1] + costs[gap - 1, step]
                if cost < best[step, count]:
                    best[step, count], before[step, count] = cost, step - gap
    if not np.isfinite(best[-1, computed]):
        return None
    step, chosen = steps - 1, {steps - 1}
    for count in range(computed, 1, -1):
        step = int(before[step, count])
        chosen.add(step)
    return chosen


def predicted_errors(gram: Array, predictor: cachekit.Predictor) -> Array:
    """1 - cos between each step and what the predictor makes of steps C + 1 apart, the last C before: `[C - 1, t]`."""
    if not isinstance(predictor, cachekit.LinearPredictor):
        raise cachekit.CachekitError(
            "cem plans for predictors that say their weights (cachekit.LinearPredictor), and "
            f"{type(predictor).__name__} does not; use reuse, damped or taylorseer"
        )
    steps = len(gram)
    errors = np.zeros((LONGEST - 1, steps))
    for skipped in range(1, LONGEST):
        for step in range(skipped, steps):
            reach = min(predictor.history, 1 + (step - skipped) // (skipped + 1))
            kept = [step - skipped - place * (skipped + 1) for place in range(reach)][::-1]
            weights = np.array(predictor.weights(kept, step))
            length = np.sqrt(max(weights @ gram[np.ix_(kept, kept)] @ weights, 1e-12) * gram[step, step])
            errors[skipped - 1, step] = 1 - np.clip(weights @ gram[kept, step] / length, -1, 1)
    return errors


def resampled(gram: Array, steps: int) -> Array:
    """The matrix of a run of so many steps, each the nearest one of those measured."""
    if len(gram) == steps:
        return gram
    nearest = [round(i * (len(gram) - 1) / max(1, steps - 1)) for i in range(steps)]
    return gram[np.ix_(nearest, nearest)]
