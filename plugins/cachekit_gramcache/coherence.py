"""Beyond single stretches: errors of different stretches add up too, as far as they point the same way.

    cost = Σ_i ‖E_i‖² + coherence · Σ_{i≠j} <E_i, E_j>

With coherence 0 stretches are unrelated and dynamic programming is exact; with 1 it is ‖Σ_i E_i‖², as if the run kept
every error to its end. Above 0 a stretch's share depends on all others, so the best pattern for 0 is
improved by exchanges.
"""

from __future__ import annotations

from itertools import product

import numpy as np

from cachekit.predictors import LinearPredictor
from cachekit.strategy import COMPUTED, SKIPPED
from cachekit_gramcache.planning import Array


def coherent_cost(pattern: str, gram: Array, sizes: Array, predictor: LinearPredictor, coherence: float) -> float:
    """The cost of any pattern that begins computed, from `gram` `[N, N]` and the step sizes `[N]`."""
    stretches: list[Array] = []
    kept: list[int] = []
    for step, mark in enumerate(pattern):
        if mark == COMPUTED:
            kept = [*kept, step][-predictor.history :]
            continue
        if pattern[step - 1] == COMPUTED:
            stretches.append(np.zeros(len(pattern)))
        stretches[-1][step] += sizes[step]
        stretches[-1][kept] -= sizes[step] * np.array(predictor.weights(kept, step))
    if not stretches:
        return 0.0
    errors = np.stack(stretches)
    products = errors @ gram @ errors.T
    own = products.trace()
    return max(0.0, float(own + coherence * (products.sum() - own)))


def exchanged(
    pattern: str, gram: Array, sizes: Array, predictor: LinearPredictor, max_gap: int, coherence: float
) -> str:
    """The pattern after moving one computed step at a time by up to `max_gap`, always the move that gains most."""
    best = coherent_cost(pattern, gram, sizes, predictor, coherence)
    while True:
        moves = [
            (coherent_cost(moved, gram, sizes, predictor, coherence), moved) for moved in moves_of(pattern, max_gap)
        ]
        cost, moved = min(moves, default=(best, pattern))
        if not cost < best * (1 - 1e-9):
            return pattern
        best, pattern = cost, moved


def moves_of(pattern: str, max_gap: int) -> list[str]:
    """The patterns with one computed step elsewhere, the first one left in place and no stretch too long."""
    moves = []
    for step, shift in product(range(1, len(pattern)), range(-max_gap, max_gap + 1)):
        to = step + shift
        if 0 < to < len(pattern) and pattern[step] == COMPUTED and pattern[to] == SKIPPED:
            marks = list(pattern)
            marks[step], marks[to] = SKIPPED, COMPUTED
            moves.append("".join(marks))
    return [moved for moved in moves if SKIPPED * (max_gap + 1) not in moved]
