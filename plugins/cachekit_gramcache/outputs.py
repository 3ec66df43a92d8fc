"""What calibration knows of the body's outputs: how long they are, and the angles between them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias

import attrs
import numpy as np
import numpy.typing as npt

from cachekit import LinearPredictor

Array: TypeAlias = npt.NDArray[np.float64]

SMALLEST_TOTAL = 1e-3
"""Share of a step's scale below which residuals cancel: what is predicted then has no direction to speak of."""


@attrs.frozen(eq=False)
class Outputs:
    """The outputs o_t of the body over a run, as the final layer's normalisation leaves them: y_t = o_t / s_t."""

    gram: Array
    """G[s, t] = <y_s, y_t>, `[N, N]`."""
    scales: Array
    """s_t, the standard deviation within a token, `[N]`."""

    def at(self, timesteps: Sequence[float], calibrated: Sequence[float]) -> Outputs:
        """Those of a run at other timesteps: W G Wᵀ and W s, with W linear in timestep between the calibrated ones.

        Beyond the last one W goes on along the last two.
        """
        if tuple(timesteps) == tuple(calibrated):
            return self
        known, wanted = (np.array(values, dtype=np.float64) for values in (calibrated, timesteps))
        rising = np.sign(known[-1] - known[0])
        before = np.searchsorted(rising * known, rising * wanted, side="right").clip(1, len(known) - 1) - 1
        share = (wanted - known[before]) / (known[before + 1] - known[before])
        weights = np.zeros((len(wanted), len(known)))
        rows = np.arange(len(wanted))
        weights[rows, before], weights[rows, before + 1] = 1 - share, share
        scales = (weights @ self.scales).clip(min=self.scales.min() / 10)
        return Outputs(weights @ self.gram @ weights.T, scales)

    def weights(self, kept: Sequence[int], residual_weights: Sequence[float]) -> Array:
        """Of a residual Σ_j a_j r_j, the weights b_j of the output Σ_j b_j y_j: b_j = a_j s_j / Σ_k a_k s_k.

        The normalisation takes away the length of what is predicted; the body's input, which is known at each step, is
        taken to follow the same line as the residuals.
        """
        scaled = np.array(residual_weights) * self.scales[list(kept)]
        weights: Array = scaled / max(scaled.sum(), SMALLEST_TOTAL * self.scales[kept[-1]])
        return weights

    def missed(self, sizes: Array, predictor: LinearPredictor, kept: Sequence[int], longest: int) -> Array:
        """E of the stretches of 0, 1, ... `longest` skipped steps after the computed steps `kept`, as weights of y.

        E = Σ_t w_t (y_t - Σ_j b[t, j] y_j), with `sizes` w_t: the error that the sampler gathers. `[longest + 1, N]`.
        """
        first, terms = kept[-1] + 1, np.zeros((longest + 1, len(sizes)))
        for position, step in enumerate(range(first, first + longest), start=1):
            terms[position, step] = sizes[step]
            terms[position, list(kept)] -= sizes[step] * self.weights(kept, predictor.weights(kept, step))
        return terms.cumsum(axis=0)

    def squared(self, combinations: Array) -> Array:
        """‖Σ_t c_t y_t‖² = cᵀ G c of each row c."""
        lengths: Array = ((combinations @ self.gram) * combinations).sum(axis=-1)
        return lengths.clip(min=0.0)

    def way(self, before: int, after: int) -> float:
        """‖y_after - y_before‖²."""
        gram = self.gram
        return float(gram[before, before] + gram[after, after] - 2 * gram[before, after])

    def shares(self, before: int, after: int) -> Array:
        """Of each step t between, the w that leaves the least of ‖y_t - (1 - w) y_before - w y_after‖."""
        gram, between = self.gram, slice(before + 1, after)
        length = self.way(before, after)
        gone: Array = gram[between, after] - gram[between, before] - gram[before, after] + gram[before, before]
        return gone / length if length > 0 else np.zeros(after - before - 1)

    def slope(self, older: int, newer: int, step: int) -> float:
        """The slope that leaves the least of ‖y_step - Σ_j b_j y_j‖, as a share of the line's through both residuals.

        With q = <y_step - y_b, y_b - y_a> / ‖y_b - y_a‖² the best weights are b_a = -q, b_b = 1 + q. Infinite where the
        scales grow so much that no slope reaches them.
        """
        drift, ahead = np.zeros((2, len(self.scales)))
        drift[newer], drift[older] = 1, -1
        ahead[step] += 1
        ahead[newer] -= 1
        turned = self.way(older, newer)
        share = float(ahead @ self.gram @ drift / turned) if turned > 0 else 0.0
        a, b = self.scales[older], self.scales[newer]
        longer = a + share * (a - b)
        if longer <= 0:
            return math.inf if share > 0 else 0.0
        return share * b / longer * (newer - older) / (step - newer)
