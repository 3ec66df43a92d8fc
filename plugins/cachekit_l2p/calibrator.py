"""Learning L2P's weights (arXiv 2604.26365, section 3.2; Aredstone/L2P-Cache, predictor/train.py)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import attrs
import numpy as np
import numpy.typing as npt

import cachekit
from cachekit import streams

if TYPE_CHECKING:
    import torch

EPOCHS, RATE = 201, 0.01
DECAYS, TINY = (0.9, 0.999), 1e-8
"""Adam's."""


@attrs.define
class WeightCalibrator(cachekit.GramCalibrator):
    """Inner products of the transformer's outputs, and the weights that Adam finds from them."""

    scope: ClassVar[str] = "forward"

    def vector(self, step: cachekit.Step, residual: cachekit.Residual) -> torch.Tensor:
        output = streams(step.output(residual))[0].float().flatten()
        return output / output.numel() ** 0.5

    def values(self) -> dict[str, Any]:
        return {"weights": learn(self.checked()).tolist()}


def learn(gram: npt.NDArray[np.float64], epochs: int = EPOCHS) -> npt.NDArray[np.float64]:
    """The weights `[N, N]`, lower-triangular, after so many epochs on outputs with these mean inner products.

    The loss is the mean over steps 1 to N-1 of ‖Σ_j W[t-1, j] v_j - v_t‖², whose gradient in row t-1 is
    2 / (N - 1) · (W G - G shifted by a step).
    """
    steps = len(gram)
    weights, mask = np.eye(steps), np.tril(np.ones((steps, steps)))
    mask[-1] = 0
    mean, square = np.zeros((2, steps, steps))
    following = np.roll(gram, -1, axis=0)
    for epoch in range(1, epochs + 1):
        gradient = 2 / max(1, steps - 1) * (weights @ gram - following) * mask
        mean = DECAYS[0] * mean + (1 - DECAYS[0]) * gradient
        square = DECAYS[1] * square + (1 - DECAYS[1]) * gradient**2
        step = mean / (1 - DECAYS[0] ** epoch)
        weights -= RATE * step / (np.sqrt(square / (1 - DECAYS[1] ** epoch)) + TINY)
    return weights
