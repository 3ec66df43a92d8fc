"""The interface of metrics: what `cachekit eval` needs to compare two videos frame by frame."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import attrs
import numpy as np
from numpy.typing import NDArray

Frames = NDArray[np.uint8]
"""RGB frames, `[H, W, 3]` or `[N, H, W, 3]`, 0 to 255."""


class MetricUnavailableError(Exception):
    """A metric can't be computed on this machine; the message says why and how to change that, in one sentence."""


@attrs.define
class Metric(ABC):
    """A figure for each pair of frames: an attrs class whose fields are its options (`--metrics name:field=value`)."""

    label: ClassVar[str]
    """What the table calls it: `PSNR`."""
    protocol: ClassVar[str]
    """How it is computed, in one line that goes into the result."""
    unit: ClassVar[str] = ""
    higher_is_better: ClassVar[bool] = True
    minimum_size: ClassVar[int] = 1
    """Least height and width of a frame, in pixels."""
    batch_size: ClassVar[int] = 1
    """Frames that `compare` is given at once; the last batch of a video may be smaller."""
    thread_safe: ClassVar[bool] = False
    """Whether `compare` may run in several threads at once."""

    def prepare(self) -> None:
        """Load what is needed, before the first frame; raises MetricUnavailableError where it can't be had."""
        return

    @abstractmethod
    def compare(self, gt: Frames, gen: Frames) -> Sequence[float]:
        """One figure for each of the N frames; `gt` and `gen` are `[N, H, W, 3]` uint8 of one shape."""
