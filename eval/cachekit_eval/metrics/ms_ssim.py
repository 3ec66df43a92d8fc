"""Multi-scale structural similarity (Wang, Simoncelli and Bovik, 2003).

For each RGB channel, over five scales, each half the one before (the mean of 2x2 pixels),

    MS-SSIM = SSIM_5^w5 · Π_{j<5} CS_j^wj,   w = 0.0448, 0.2856, 0.3001, 0.2363, 0.1333

with CS the contrast and structure part of SSIM and both averaged over the window's valid positions, an 11-tap Gaussian
of sigma 1.5 as for SSIM. A mean below zero counts as zero, whose power is defined.
"""

from __future__ import annotations

from typing import ClassVar

import attrs
import cv2
import numpy as np
from numpy.typing import NDArray

from cachekit_eval.metric import Frames, Metric
from cachekit_eval.metrics.ssim import MARGIN, TAPS, WINDOW

WEIGHTS = np.array([0.0448, 0.2856, 0.3001, 0.2363, 0.1333])
C1, C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2

Image = NDArray[np.float64]


@attrs.define
class MsSsim(Metric):
    """Multi-scale structural similarity of RGB frames, averaged over the channels."""

    label: ClassVar[str] = "MS-SSIM"
    protocol: ClassVar[str] = "five scales, 11-tap Gaussian window of sigma 1.5, per RGB channel, averaged; per frame"
    minimum_size: ClassVar[int] = (TAPS - 1) * 2 ** (len(WEIGHTS) - 1) + 1
    thread_safe: ClassVar[bool] = True
    by_default: ClassVar[bool] = False

    def compare(self, gt: Frames, gen: Frames) -> list[float]:
        return [ms_ssim(a, b) for a, b in zip(gt, gen, strict=True)]


def ms_ssim(gt: Frames, gen: Frames) -> float:
    """MS-SSIM of two frames `[H, W, 3]`, H and W at least 161."""
    x, y = gt.astype(np.float64), gen.astype(np.float64)
    parts = []  # [5 scales, 3 channels]
    for scale in range(len(WEIGHTS)):
        if scale:
            x, y = _halved(x), _halved(y)
        ssim, contrast_structure = _means(x, y)
        parts.append(ssim if scale == len(WEIGHTS) - 1 else contrast_structure)
    return float(np.prod(np.maximum(parts, 0) ** WEIGHTS[:, None], axis=0).mean())


def _means(x: Image, y: Image) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """SSIM and its contrast and structure part, averaged over the valid positions, a figure for each channel."""
    mean_x, mean_y = _blurred(x), _blurred(y)
    variances = _blurred(x * x) - mean_x**2 + _blurred(y * y) - mean_y**2
    covariance = _blurred(x * y) - mean_x * mean_y
    contrast_structure = (2 * covariance + C2) / (variances + C2)
    luminance = (2 * mean_x * mean_y + C1) / (mean_x**2 + mean_y**2 + C1)
    return (luminance * contrast_structure).mean(axis=(0, 1)), contrast_structure.mean(axis=(0, 1))


def _blurred(values: Image) -> Image:
    blurred = np.asarray(cv2.sepFilter2D(values, cv2.CV_64F, WINDOW, WINDOW), np.float64)
    return blurred[MARGIN:-MARGIN, MARGIN:-MARGIN]


def _halved(values: Image) -> Image:
    """The mean of each 2x2 pixels; an odd side is made even by its last row or column, as the authors' code has it."""
    height, width = values.shape[:2]
    even = np.pad(values, ((0, height % 2), (0, width % 2), (0, 0)), mode="symmetric")
    return even.reshape(even.shape[0] // 2, 2, even.shape[1] // 2, 2, -1).mean(axis=(1, 3))
