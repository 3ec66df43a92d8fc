"""Structural similarity (Wang et al., 2004) as the papers' evaluator computes it.

For each RGB channel, with an 11-tap Gaussian window of sigma 1.5 and over the positions where the window lies wholly
inside the frame,

    SSIM = (2 mx my + C1)(2 sxy + C2) / ((mx² + my² + C1)(sxx + syy + C2)),   C1 = 0.01², C2 = 0.03²

which is scikit-image's `structural_similarity(gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
data_range=1)`. Three things make it fast without changing it:

- With the sum a = x + y and the difference b = x - y, four blurs do instead of five: 2 mx my = (ma² - mb²) / 2,
  mx² + my² = (ma² + mb²) / 2, and likewise 2 sxy and sxx + syy from saa and sbb.
- The window is separable, and float32 is enough where a and b are centred first: a variance does not change under a
  shift, and E[a²] - E[a]² cancels badly only where the mean is large. Where much of a strip is flat the rounding of
  float32 has one sign over whole areas and does not average out (1e-5 at worst), so there the blurs are in float64.
- A frame is worked through in strips of rows that fit the processor's cache.
"""

from __future__ import annotations

from typing import ClassVar, TypeVar

import attrs
import cv2
import numpy as np
from numpy.typing import NDArray

from cachekit_eval.metric import Frames, Metric

SIGMA = 1.5
TAPS = 11
MARGIN = TAPS // 2
WINDOW = cv2.getGaussianKernel(TAPS, SIGMA)
STRIP_ROWS = 64
C1 = np.float32(2 * (0.01 * 255) ** 2)
C2 = np.float32(2 * (0.03 * 255) ** 2)
"""The constants for values in [0, 255], doubled because sums and differences come out doubled."""
FLAT = 1e-5
"""A window is flat where its variance is under this share of its squared mean: float32 can't tell it from none."""
FLAT_SHARE = 0.02
"""Share of flat windows from which a strip is blurred in float64."""

Float32 = NDArray[np.float32]
Real = TypeVar("Real", np.float32, np.float64)


@attrs.define
class Ssim(Metric):
    """Structural similarity of RGB frames, averaged over the channels."""

    label: ClassVar[str] = "SSIM"
    protocol: ClassVar[str] = "11-tap Gaussian window of sigma 1.5, valid region, per RGB channel, averaged; per frame"
    minimum_size: ClassVar[int] = TAPS
    thread_safe: ClassVar[bool] = True

    def compare(self, gt: Frames, gen: Frames) -> list[float]:
        return [ssim(a, b) for a, b in zip(gt, gen, strict=True)]


def ssim(gt: Frames, gen: Frames) -> float:
    """SSIM of two frames `[H, W, 3]`, H and W at least 11."""
    height, width, channels = gt.shape
    rows = height - 2 * MARGIN
    total = 0.0
    for start in range(0, rows, STRIP_ROWS):
        strip = slice(start, min(start + STRIP_ROWS, rows) + 2 * MARGIN)
        total += _sum_over_strip(gt[strip], gen[strip])
    positions: int = rows * (width - 2 * MARGIN) * channels
    return total / positions


def _sum_over_strip(x: Frames, y: Frames) -> float:
    """The sum of the SSIM map over the valid region of a strip `[R, W, 3]`."""
    mean_a, variance_a = _window_moments(np.asarray(cv2.add(x, y, dtype=cv2.CV_32F), np.float32))
    mean_b, variance_b = _window_moments(np.asarray(cv2.subtract(x, y, dtype=cv2.CV_32F), np.float32))
    squared_a, squared_b = np.square(mean_a), np.square(mean_b)
    numerator = squared_a - squared_b + C1
    numerator *= variance_a - variance_b + C2
    denominator = squared_a + squared_b + C1
    denominator *= variance_a + variance_b + C2
    numerator /= denominator
    return float(numerator.sum(dtype=np.float64))


def _window_moments(values: Float32) -> tuple[Float32, Float32]:
    """Mean and variance under the window at each valid position of a strip; `values` is overwritten."""
    channels = values.shape[2]
    # A whole number leaves the values exact; a row's worth of it, because broadcasting over rows is several times
    # faster than over three channels.
    centre = np.rint(cv2.mean(values)[:channels]).astype(np.float32)
    values.reshape(len(values), -1)[:] -= np.tile(centre, values.shape[1])
    squares = np.square(values)
    mean = _blurred(values, np.float32)
    squared_mean = np.square(mean)
    variance = _blurred(squares, np.float32) - squared_mean
    if np.count_nonzero(variance < FLAT * squared_mean) > FLAT_SHARE * variance.size:
        precise = _blurred(values, np.float64)
        variance = (_blurred(squares, np.float64) - np.square(precise)).astype(np.float32)
        mean = precise.astype(np.float32)
    return mean + np.tile(centre, mean.shape[1]).reshape(-1, channels), variance


def _blurred(values: Float32, precision: type[Real]) -> NDArray[Real]:
    depth = cv2.CV_64F if precision is np.float64 else cv2.CV_32F
    blurred = np.asarray(cv2.sepFilter2D(values, depth, WINDOW, WINDOW), precision)
    return blurred[MARGIN:-MARGIN, MARGIN:-MARGIN]
