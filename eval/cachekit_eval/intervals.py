"""How sure a mean over videos is: the percentile bootstrap (Efron and Tibshirani, 1993), seeded.

The videos are drawn again with replacement, as often as there are, `RESAMPLES` times; the interval holds 95% of the
means. Every metric and folder sees the same draws for the same number of videos, so two folders' videos stay paired:
what makes both of them bad, a hard prompt, is drawn for both or for neither.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 10_000
CONFIDENCE = 0.95
SEED = 0
AT_ONCE = 1_000_000
"""Drawn numbers held in memory at a time."""

Interval = tuple[float, float]


@lru_cache(maxsize=1024)
def mean_interval(values: tuple[float, ...], seed: int = SEED) -> Interval | None:
    """The 95% interval of the mean of `values`, one a video; None for fewer than two."""
    if len(values) < 2:
        return None
    means = _resampled_means(np.asarray(values), seed)
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return float(low), float(high)


def difference_interval(one: Sequence[float], other: Sequence[float], seed: int = SEED) -> Interval | None:
    """The 95% interval of the mean of `one - other`, the same videos in the same order; None for fewer than two."""
    return mean_interval(tuple(a - b for a, b in zip(one, other, strict=True)), seed)


def _resampled_means(values: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    generator = np.random.default_rng(seed)
    rows = max(1, AT_ONCE // len(values))
    parts = [
        values[generator.integers(0, len(values), (min(rows, RESAMPLES - start), len(values)))].mean(axis=1)
        for start in range(0, RESAMPLES, rows)
    ]
    return np.concatenate(parts)
