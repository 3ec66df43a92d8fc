"""DPCache's dynamic program over pairs of computed steps (arXiv 2602.22654, section 3.3)."""

from __future__ import annotations

import math
from itertools import combinations
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

import cachekit

Array: TypeAlias = npt.NDArray[np.float64]


def step_errors(gram: Array, predictor: cachekit.LinearPredictor) -> Array:
    """E[i, j, t] = ‖o_t - Σ w o‖ for i < j < t, from the outputs' inner products; NaN elsewhere."""
    steps = len(gram)
    errors = np.full((steps,) * 3, math.nan)
    for i, j in combinations(range(steps), 2):
        kept = [i, j][-predictor.history :]
        for t in range(j + 1, steps):
            combination = np.zeros(steps)
            combination[t] = 1
            combination[kept] -= predictor.weights(kept, t)
            errors[i, j, t] = math.sqrt(max(float(combination @ gram @ combination), 0.0))
    return errors


def path_costs(errors: Array) -> Array:
    """C[i, j, k] = Σ_{j<t<k} E[i, j, t], for k up to the number of steps."""
    steps = len(errors)
    costs = np.full((steps, steps, steps + 1), math.inf)
    for i, j in combinations(range(steps), 2):
        costs[i, j, j + 1] = 0.0
        costs[i, j, j + 2 :] = np.cumsum(errors[i, j, j + 1 :])
    return costs


def best_path(
    errors: Array, computed: int, forced: int, *, force_last: bool = False, max_gap: int | None = None
) -> set[int] | None:
    """The `computed` steps, the first `forced` among them, whose costs add up to the least; None if there are none.

    Of all ways to a pair of computed steps only the cheapest can be part of a best path; of equal ones it is that over
    the earliest step.
    """
    steps, costs = len(errors), path_costs(errors)
    longest = steps if max_gap is None else max_gap
    best = {(forced - 2, forced - 1): 0.0}
    before: list[dict[tuple[int, int], int]] = []
    for _ in range(forced, computed):
        reached: dict[tuple[int, int], float] = {}
        from_step: dict[tuple[int, int], int] = {}
        for i, j in sorted(best):
            for k in range(j + 1, min(steps, j + longest + 1)):
                cost = best[i, j] + costs[i, j, k]
                if cost < reached.get((j, k), math.inf):
                    reached[j, k], from_step[j, k] = cost, i
        best = reached
        before.append(from_step)
    last = {
        pair: cost + costs[(*pair, steps)]
        for pair, cost in sorted(best.items())
        if steps - pair[1] <= longest and (not force_last or pair[1] == steps - 1)
    }
    if not last:
        return None
    pair = min(last, key=lambda pair: last[pair])
    chosen = {*pair, *range(forced)}
    for from_step in reversed(before):
        pair = (from_step[pair], pair[0])
        chosen.add(pair[0])
    return chosen


def resampled(gram: Array, steps: int) -> Array:
    """The matrix of a run of so many steps, each the nearest one of those measured."""
    if len(gram) == steps:
        return gram
    nearest = [round(i * (len(gram) - 1) / max(1, steps - 1)) for i in range(steps)]
    return gram[np.ix_(nearest, nearest)]
