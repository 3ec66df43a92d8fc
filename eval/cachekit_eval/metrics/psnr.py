"""Peak signal-to-noise ratio.

PSNR = -10 log10(MSE), the MSE over all pixels and channels of a frame whose values are in [0, 1]. As in the papers'
evaluator a frame whose MSE is under 1e-10 counts 100 dB, which keeps identical frames finite.
"""

from __future__ import annotations

import math
from typing import ClassVar

import attrs
import cv2

from cachekit_eval.metric import Frames, Metric

IDENTICAL_MSE = 1e-10
IDENTICAL_DB = 100.0


@attrs.define
class Psnr(Metric):
    """Peak signal-to-noise ratio of RGB frames, in dB."""

    label: ClassVar[str] = "PSNR"
    unit: ClassVar[str] = "dB"
    protocol: ClassVar[str] = "RGB values in [0, 1], per frame; MSE under 1e-10 counts 100 dB"
    thread_safe: ClassVar[bool] = True

    def compare(self, gt: Frames, gen: Frames) -> list[float]:
        return [psnr(a, b) for a, b in zip(gt, gen, strict=True)]


def psnr(gt: Frames, gen: Frames) -> float:
    """PSNR of two frames `[H, W, 3]`, in dB."""
    # On uint8 the sum of squares is an exact integer, so no order of summation can change a digit.
    mse = cv2.norm(gt, gen, cv2.NORM_L2SQR) / (gt.size * 255.0**2)
    if mse < IDENTICAL_MSE:
        return IDENTICAL_DB
    return -10 * math.log10(mse)
