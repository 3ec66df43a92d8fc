"""What an evaluation found: typed results, from a frame's figures up to a folder's."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import attrs

from cachekit_eval.intervals import mean_interval
from cachekit_eval.manifests import Entry


@attrs.frozen
class Video:
    """A pair of videos that was compared."""

    name: str
    gt: Path
    gen: Path
    frames: int
    """Frames compared."""
    height: int
    width: int
    values: dict[str, float | None]
    """The mean over the frames, by metric; None for a metric that was not available."""
    per_frame: dict[str, tuple[float, ...]] | None
    """Each frame's figure by metric, where that was asked for."""
    features: dict[str, tuple[float, ...]]
    """What pooled metrics, which have one figure for all videos, keep of this one."""
    made: Entry
    """What gen's manifest says of the video."""
    gt_made: Entry
    """What gt's manifest says of it."""
    frame_notes: tuple[str, ...]
    """What was converted, resized, cropped or cut, and where the two files differ."""
    notes: tuple[str, ...]
    """The same, and where the manifests disagree."""
    digests: tuple[str, str] | None = None
    """SHA-256 of gt's and gen's file, or of a folder's frames, where figures are kept for a later run."""

    @property
    def speedup(self) -> float | None:
        """gt's denoising seconds over gen's; None where the manifests don't have both."""
        return speedup([self])

    @property
    def ideal_speedup(self) -> float | None:
        """Steps over computed steps of gen's pattern."""
        return ideal_speedup([self])


@attrs.frozen
class Failure:
    """A pair of videos that could not be compared, and why, in one sentence."""

    name: str
    gt: Path
    gen: Path
    reason: str


@attrs.frozen
class Summary:
    """One metric over the videos of a folder."""

    mean: float | None
    """The mean over the videos; None where a pair failed, since it would pass for the whole folder's."""
    evaluated_mean: float
    """The mean over the videos that could be compared; of a pooled metric, their figure."""
    std: float | None
    """The spread over them: the population standard deviation; None for a pooled metric."""
    worst: str | None
    """Name of the worst video; None for a pooled metric."""
    worst_value: float | None
    interval: tuple[float, float] | None
    """The mean's 95% bootstrap interval; None for fewer than two videos and for a pooled metric."""


@attrs.frozen
class MetricInfo:
    """A metric as it was used, or why it was not."""

    name: str
    label: str
    unit: str
    higher_is_better: bool
    protocol: str
    provider: str
    """The plugin that brought it."""
    unavailable: str | None = None
    """Why it could not be computed; None where it was."""


@attrs.frozen
class Evaluation:
    """A folder of a strategy's videos compared with the uncached model's."""

    gt: Path
    gen: Path
    metrics: tuple[MetricInfo, ...]
    videos: tuple[Video, ...]
    failures: tuple[Failure, ...]
    notes: tuple[str, ...]
    versions: dict[str, str]
    left_out: tuple[str, ...] = ()
    """Names of gt's videos without a counterpart, where a subset was allowed."""
    remaining: int = 0
    """Pairs that were not come to yet."""
    pooled: dict[str, float] = attrs.field(factory=dict)
    """The figures of pooled metrics, over the videos that could be compared."""

    @property
    def complete(self) -> bool:
        """Whether every pair was compared."""
        return not self.failures and not self.remaining

    @property
    def summaries(self) -> dict[str, Summary | None]:
        """Each metric over the videos; None for one that was not available, or where no pair could be compared."""
        return {info.name: self._summary(info) for info in self.metrics}

    def __getitem__(self, metric: str) -> Summary | None:
        """The summary of one metric, by its name."""
        return self.summaries[metric]

    @property
    def strategy(self) -> str | None:
        return _text(self.shared("strategy"))

    @property
    def predictor(self) -> str | None:
        return _text(self.shared("predictor"))

    @property
    def pattern(self) -> str | None:
        """The pattern, where it is the same for every video."""
        return _text(self.shared("pattern"))

    @property
    def speedup(self) -> float | None:
        """Summed denoising seconds of gt's videos over those of gen's.

        None where a pair failed, and unless the manifests have all of them.
        """
        return speedup(self.videos) if self.complete else None

    @property
    def ideal_speedup(self) -> float | None:
        """Steps over computed steps, summed over the videos; None as for `speedup`."""
        return ideal_speedup(self.videos) if self.complete else None

    def shared(self, name: str) -> object:
        """What gen's manifest says under `name` of every video alike; None where it doesn't."""
        values = [getattr(video.made, name) for video in self.videos]
        return values[0] if values and all(value == values[0] for value in values) else None

    def _summary(self, info: MetricInfo) -> Summary | None:
        if info.name in self.pooled:
            figure = self.pooled[info.name]
            return Summary(figure if self.complete else None, figure, None, None, None, None)
        values = {video.name: value for video in self.videos if (value := video.values.get(info.name)) is not None}
        if not values:
            return None
        mean = average(list(values.values()))
        worst = (min if info.higher_is_better else max)(values, key=lambda name: values[name])
        return Summary(
            mean=mean if self.complete else None,
            evaluated_mean=mean,
            std=math.sqrt(average([(value - mean) ** 2 for value in values.values()])),
            worst=worst,
            worst_value=values[worst],
            interval=mean_interval(tuple(values.values())),
        )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def average(values: Sequence[float]) -> float:
    """The mean, summed exactly, so that no order of the values changes a digit."""
    return math.fsum(values) / len(values)


def speedup(videos: Sequence[Video]) -> float | None:
    baseline = [video.gt_made.denoising_seconds for video in videos]
    cached = [video.made.denoising_seconds for video in videos]
    if not videos or None in baseline or None in cached:
        return None
    return math.fsum(filter(None, baseline)) / math.fsum(filter(None, cached))


def ideal_speedup(videos: Sequence[Video]) -> float | None:
    patterns = [video.made.pattern for video in videos]
    computed = sum(pattern.count("X") for pattern in patterns if pattern)
    if not computed or not all(patterns):
        return None
    return sum(len(pattern) for pattern in patterns if pattern) / computed
