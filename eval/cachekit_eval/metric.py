"""The interface of metrics: what `cachekit eval` needs to compare two videos, frame by frame or as wholes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import attrs
import numpy as np
from numpy.typing import NDArray

Frames = NDArray[np.uint8]
"""RGB frames, `[H, W, 3]` or `[N, H, W, 3]`, 0 to 255."""


class MetricUnavailableError(Exception):
    """A metric can't be computed on this machine; the message says why and how to change that, in one sentence."""


@attrs.define
class Measure(ABC):
    """What both kinds of metrics have: an attrs class whose fields are its options (`--metrics name:field=value`)."""

    label: ClassVar[str]
    """What the table calls it: `PSNR`."""
    protocol: ClassVar[str]
    """How it is computed, in one line that goes into the result."""
    unit: ClassVar[str] = ""
    higher_is_better: ClassVar[bool] = True
    minimum_size: ClassVar[int] = 1
    """Least height and width of a frame, in pixels."""
    by_default: ClassVar[bool] = True
    """Whether it is computed where no metric is named."""

    def prepare(self) -> None:
        """Load what is needed, before the first frame; raises MetricUnavailableError where it can't be had."""
        return

    def conditions(self) -> dict[str, Any]:
        """What its figures depend on beside the frames, for JSON: a figure is kept while these are the same."""
        return {field.name: str(getattr(self, field.name)) for field in attrs.fields(type(self)) if field.init}


@attrs.define
class Metric(Measure):
    """A figure for each pair of frames."""

    batch_size: ClassVar[int] = 1
    """Frames that `compare` is given at once; the last batch of a video may be smaller."""
    thread_safe: ClassVar[bool] = False
    """Whether `compare` may run in several threads at once."""

    def batch_for(self, height: int, width: int) -> int:
        """Frames of this size that `compare` is given at once."""
        return self.batch_size

    @abstractmethod
    def compare(self, gt: Frames, gen: Frames) -> Sequence[float]:
        """One figure for each of the N frames; `gt` and `gen` are `[N, H, W, 3]` uint8 of one shape."""


@attrs.define
class VideoMetric(Measure):
    """A figure for each pair of videos, seen whole: flicker, warping error; or, pooled, one of all videos, as FVD.

    `compare` runs in a thread of its own while the frames are decoded, for one pair at a time.
    """

    minimum_frames: ClassVar[int] = 1
    """Least number of frames of a video."""
    pooled: ClassVar[bool] = False
    """Whether the only figure is one of all videos together: `compare` then gives what `pool` needs of a pair."""

    @abstractmethod
    def compare(self, pairs: Iterator[tuple[Frames, Frames]], fps: float | None) -> float | Sequence[float]:
        """The pair's figure, or one for each frame, whose mean it is; of a pooled metric, numbers for `pool`.

        `pairs` are the frames of gt and gen, `[H, W, 3]` uint8 each, as they are decoded; `fps` is the frames a second,
        None for folders of frames.
        """

    def pool(self, features: Sequence[Sequence[float]]) -> float:
        """The figure of all videos, from what `compare` gave of each."""
        raise NotImplementedError(f"{type(self).__name__} is pooled and has no `pool`")
