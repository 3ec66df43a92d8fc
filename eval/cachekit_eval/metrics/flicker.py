"""Temporal flicker: how far the changes from one frame to the next are from the uncached video's.

    mean over t of mean |(gen[t+1] - gen[t]) - (gt[t+1] - gt[t])|

over all pixels and channels, values in [0, 255]. A constant error, which PSNR counts, is none; an error that comes and
goes, as where a cache computes and skips in turns, is. 0 for equal videos.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import attrs
import numpy as np

from cachekit_eval.metric import Frames, VideoMetric


@attrs.define
class Flicker(VideoMetric):
    """Mean absolute change of the differences between frames, against gt's, in levels of 255."""

    label: ClassVar[str] = "flicker"
    unit: ClassVar[str] = "levels"
    protocol: ClassVar[str] = "mean |(gen[t+1] - gen[t]) - (gt[t+1] - gt[t])| over RGB values in [0, 255] and frames"
    higher_is_better: ClassVar[bool] = False
    by_default: ClassVar[bool] = False
    minimum_frames: ClassVar[int] = 2

    def compare(self, pairs: Iterator[tuple[Frames, Frames]], fps: float | None) -> float:
        total, count, before = 0, 0, None
        for gt, gen in pairs:
            # The same as (gen[t+1] - gt[t+1]) - (gen[t] - gt[t]): one frame of errors is kept, and 16 bits hold it all.
            error = np.subtract(gen, gt, dtype=np.int16)
            if before is not None:
                total += int(np.abs(error - before).sum(dtype=np.int64))
                count += error.size
            before = error
        return total / count if count else 0.0
