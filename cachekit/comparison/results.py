"""What a comparison found: a row for each contender, the frontier, and the same as JSON and CSV."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from statistics import fmean, median
from typing import Any

import attrs
from cachekit_eval.intervals import difference_interval, mean_interval

from cachekit.comparison.contenders import Contender
from cachekit.comparison.quality import Metric
from cachekit.generation.manifest import Seconds
from cachekit.interface.strategy import COMPUTED


@attrs.frozen
class Video:
    """One video of a contender."""

    name: str
    prompt: str
    seed: int
    file: str | None
    """Relative to the report; None where it failed."""
    pattern: str | None
    seconds: Seconds | None
    speedup: float | None
    """Denoising seconds of the uncached video over this one's."""
    quality: dict[str, float]
    """By metric; empty for the uncached video and where it could not be judged."""
    failure: str | None


@attrs.frozen
class Figure:
    """One metric over a contender's videos."""

    mean: float
    std: float
    """Population standard deviation over the videos."""
    worst: float
    worst_video: str
    low: float | None
    """Lower end of the mean's 95% bootstrap interval over the videos; None for fewer than two."""
    high: float | None


@attrs.frozen
class Row:
    """A contender and what it reached."""

    label: str
    kind: str
    strategy: str
    predictor: str | None
    given: dict[str, str]
    steps: int
    videos: tuple[Video, ...]
    quality: dict[str, Figure]
    full_steps: int
    """Steps of the uncached model's runs."""

    @property
    def made(self) -> list[Video]:
        return [video for video in self.videos if video.failure is None]

    @property
    def computed(self) -> float | None:
        """Computed steps of a run, the mean over the videos."""
        counts = [video.pattern.count(COMPUTED) for video in self.videos if video.pattern]
        return fmean(counts) if counts else None

    @property
    def ideal_speedup(self) -> float | None:
        """The uncached run's steps over the computed ones: the speedup if a skipped step cost nothing."""
        return self.full_steps / self.computed if self.computed else None

    @property
    def speedup(self) -> float | None:
        """Of denoising, measured: the median over the videos."""
        return _median([video.speedup for video in self.videos])

    @property
    def seconds(self) -> Seconds | None:
        """Of one video: the median of each stage."""
        times = [video.seconds for video in self.videos if video.seconds]
        if not times:
            return None
        return Seconds(*(median(values) for values in zip(*map(attrs.astuple, times), strict=True)))

    def figures(self, metric: str) -> dict[str, float]:
        """A metric's figure of each video, by the video's name."""
        return {video.name: video.quality[metric] for video in self.made if metric in video.quality}

    @property
    def failures(self) -> list[Video]:
        return [video for video in self.videos if video.failure is not None]


@attrs.frozen
class Comparison:
    """All rows, and what they have in common."""

    rows: tuple[Row, ...]
    metrics: tuple[Metric, ...]
    about: dict[str, Any]
    """Model, steps, guidance, prompts, machine, command, versions."""

    @property
    def main_metric(self) -> str | None:
        """The first that could be computed: the table and the frontier go by it."""
        return next((metric.name for metric in self.metrics if metric.unavailable is None), None)

    @property
    def failures(self) -> list[tuple[Row, Video]]:
        return [(row, video) for row in self.rows for video in row.failures]

    def frontier(self) -> list[Row]:
        """Rows that no other beats in both speedup and quality, slowest first; only those with every video whole."""
        name = self.main_metric
        if name is None:
            return []
        better = _sign(self.metrics, name)
        points = [
            (row.ideal_speedup, better * row.quality[name].mean, row)
            for row in self.rows
            if name in row.quality and not row.failures and row.ideal_speedup
        ]
        best: list[Row] = []
        highest = -math.inf
        for _, quality, row in sorted(points, key=lambda point: (point[0], point[1]), reverse=True):
            if quality > highest:
                best.append(row)
                highest = quality
        return best[::-1]

    def ties(self) -> dict[str, list[str]]:
        """By label, the rows of as many computed steps that a row can't be told apart from, by the main metric.

        A paired bootstrap of the difference, video by video: its 95% interval holds zero. Nothing can be said of fewer
        than two videos.
        """
        name = self.main_metric
        figures = {row.label: row.figures(name) for row in self.rows if name is not None}
        return {
            row.label: [
                other.label
                for other in self.rows
                if other.label != row.label
                and round(other.computed or 0) == round(row.computed or 0)
                and cannot_be_told_apart(figures[row.label], figures[other.label])
            ]
            for row in self.rows
            if name is not None
        }

    def ranked(self) -> list[Row]:
        """The uncached model, then the slowest first, the best first within each number of computed steps."""
        name = self.main_metric

        def place(row: Row) -> tuple[bool, float, float]:
            quality = row.quality[name].mean if name in row.quality else -math.inf
            return row.kind != "uncached", -round(row.computed or 0), -_sign(self.metrics, name) * quality

        return sorted(self.rows, key=place)


def row_of(contender: Contender, videos: Sequence[Video], metrics: Sequence[Metric], full_steps: int) -> Row:
    """A contender's row from its videos."""
    quality = {}
    for metric in metrics:
        values = {video.name: video.quality[metric.name] for video in videos if metric.name in video.quality}
        if values:
            worst = (min if metric.higher_is_better else max)(values, key=lambda name: values[name])
            mean = math.fsum(values.values()) / len(values)
            std = math.sqrt(math.fsum((value - mean) ** 2 for value in values.values()) / len(values))
            interval = mean_interval(tuple(values.values())) or (None, None)
            quality[metric.name] = Figure(mean, std, values[worst], worst, *interval)
    return Row(
        label=contender.label,
        kind=contender.kind,
        strategy=contender.strategy,
        predictor=contender.predictor,
        given=contender.given,
        steps=contender.setting.steps,
        videos=tuple(videos),
        quality=quality,
        full_steps=full_steps,
    )


def cannot_be_told_apart(one: Mapping[str, float], other: Mapping[str, float]) -> bool:
    """Whether the mean difference over the videos that both have may be zero, as far as these videos tell."""
    shared = sorted(set(one) & set(other))
    interval = difference_interval([one[name] for name in shared], [other[name] for name in shared])
    return interval is not None and interval[0] <= 0 <= interval[1]


def as_json(comparison: Comparison) -> dict[str, Any]:
    """The whole comparison, for `results.json` and the page."""
    ties = comparison.ties()
    frontier = {row.label for row in comparison.frontier()}
    rows = [
        {
            **attrs.asdict(row, filter=lambda field, _: field.name not in ("videos", "full_steps")),
            "computed": row.computed,
            "ideal_speedup": row.ideal_speedup,
            "speedup": row.speedup,
            "seconds": attrs.asdict(row.seconds) if row.seconds else None,
            "frontier": row.label in frontier,
            "ties": ties.get(row.label, []),
            "complete": not row.failures,
            "videos": [attrs.asdict(video) for video in row.videos],
        }
        for row in comparison.ranked()
    ]
    metrics = [attrs.asdict(metric) for metric in comparison.metrics]
    return {**comparison.about, "main_metric": comparison.main_metric, "metrics": metrics, "rows": rows}


def as_csv(comparison: Comparison) -> str:
    """A line a contender."""
    names = [metric.name for metric in comparison.metrics if metric.unavailable is None]
    frontier = {row.label for row in comparison.frontier()}
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    stages = ("text_seconds", "denoising_seconds", "decoding_seconds")
    columns = [column for name in names for column in columns_of(name)]
    head = ("label", "kind", "strategy", "predictor", "parameters", "steps", "computed", "ideal_speedup", "speedup")
    writer.writerow([*head, *stages, *columns, "videos", "failed", "frontier"])
    for row in comparison.ranked():
        figures = [row.quality.get(name) for name in names]
        parameters = ":".join(f"{key}={value}" for key, value in row.given.items())
        writer.writerow(
            [
                *(row.label, row.kind, row.strategy, row.predictor, parameters, row.steps),
                *(row.computed, row.ideal_speedup, row.speedup),
                *(attrs.astuple(row.seconds) if row.seconds else ("", "", "")),
                *(
                    value
                    for figure in figures
                    for value in (attrs.astuple(figure) if figure else ("",) * len(columns_of("")))
                ),
                *(len(row.made), len(row.failures), row.label in frontier),
            ]
        )
    return text.getvalue()


def columns_of(name: str) -> list[str]:
    """The CSV's columns for a metric: the mean, and what else a Figure holds."""
    fields = [field.name for field in attrs.fields(Figure)]
    return [name if field == "mean" else f"{name}_{field}" for field in fields]


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None


def _sign(metrics: Sequence[Metric], name: str | None) -> int:
    return next((1 if metric.higher_is_better else -1 for metric in metrics if metric.name == name), 1)
