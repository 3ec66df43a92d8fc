"""One pair of videos, streamed: frames go from the two readers to the metrics, and only figures are kept."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import attrs

from cachekit_eval import traits
from cachekit_eval.feeding import FrameFeed, PairError, VideoFeed
from cachekit_eval.fitting import Size, describe_fit, fit, frame_size
from cachekit_eval.metric import Frames, Measure, Metric, VideoMetric
from cachekit_eval.numbering import Alignment, NumberingError, align
from cachekit_eval.pairs import Pair
from cachekit_eval.reading import Reader
from cachekit_eval.results import average
from cachekit_eval.text import quoted

SAME_FPS = 1e-3
"""Share by which two frame rates may differ and be the same: 24 and 24000/1001."""


@attrs.frozen
class Comparison:
    """A pair's figures by metric."""

    values: dict[str, float]
    """The mean over the frames, or the figure of the video."""
    per_frame: dict[str, tuple[float, ...]]
    """In the order of the frames, of metrics that have one for each."""
    features: dict[str, tuple[float, ...]]
    """What pooled metrics keep of the pair."""
    frames: int
    size: Size
    notes: tuple[str, ...]


@attrs.define
class Comparer:
    """Compares pairs by `metrics`, in up to `threads` threads; a context manager."""

    metrics: Mapping[str, Measure]
    threads: int
    resize: bool = False
    """Whether gt's frames may be resized and cropped to gen's."""
    common_frames: bool = False
    """Whether the longer video may be cut to the shorter one's frames."""
    _pool: ThreadPoolExecutor = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._pool = ThreadPoolExecutor(self.threads, thread_name_prefix="cachekit-eval")

    def __enter__(self) -> Comparer:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def compare(self, pair: Pair) -> Comparison:
        """The pair's figures; raises UnreadableVideoError or PairError with what is wrong with it."""
        alignment = aligned(pair, common_frames=self.common_frames)
        readers = Reader(pair.gt, alignment.gt), Reader(pair.gen, alignment.gen)
        feeds: dict[str, FrameFeed | VideoFeed] = {}
        count, sizes = 0, None
        try:
            with closing(readers[0].frames()) as gt_frames, closing(readers[1].frames()) as gen_frames:
                while True:
                    # Not zip, which would lose a frame of the longer video.
                    gt, gen = next(gt_frames, None), next(gen_frames, None)
                    if gt is None or gen is None:
                        break
                    if sizes is None:
                        sizes = frame_size(gt), frame_size(gen)
                        self._check_sizes(pair, *sizes)
                        feeds |= self._feeds(sizes[1], readers)
                    if sizes[0] != sizes[1]:
                        gt = fit(gt, sizes[1])
                    for feed in feeds.values():
                        feed.put(gt, gen)
                    count += 1
                lengths = (
                    count + (gt is not None) + sum(1 for _ in gt_frames),
                    count + (gen is not None) + sum(1 for _ in gen_frames),
                )
            assert sizes is not None  # a reader raises for a video without frames
            self._check_lengths(pair, lengths, sizes)
            figures = {}
            while feeds:
                name = next(iter(feeds))
                figures[name] = feeds[name].finish()
                del feeds[name]
        finally:
            for feed in feeds.values():
                feed.abandon()
        notes = (*alignment.notes, *_notes(readers, sizes, lengths))
        return self._comparison(figures, count, sizes[1], notes)

    def _feeds(self, size: Size, readers: tuple[Reader, Reader]) -> dict[str, FrameFeed | VideoFeed]:
        fps = readers[1].fps or readers[0].fps
        feeds: dict[str, FrameFeed | VideoFeed] = {}
        for name, metric in self.metrics.items():
            if isinstance(metric, VideoMetric):
                feeds[name] = VideoFeed(name, metric, fps)
            elif isinstance(metric, Metric):
                feeds[name] = FrameFeed(name, metric, self._pool, metric.batch_for(*size), 2 * self.threads)
        return feeds

    def _comparison(
        self, figures: Mapping[str, tuple[float, ...]], count: int, size: Size, notes: tuple[str, ...]
    ) -> Comparison:
        pooled = {name for name, metric in self.metrics.items() if isinstance(metric, VideoMetric) and metric.pooled}
        whole = {name for name, metric in self.metrics.items() if isinstance(metric, VideoMetric)}
        return Comparison(
            values={name: average(values) for name, values in figures.items() if name not in pooled},
            per_frame={
                name: values
                for name, values in figures.items()
                if name not in pooled and (name not in whole or len(values) == count > 1)
            },
            features={name: figures[name] for name in figures if name in pooled},
            frames=count,
            size=size,
            notes=notes,
        )

    def _check_sizes(self, pair: Pair, gt: Size, gen: Size) -> None:
        if gt != gen and not self.resize:
            raise PairError(
                f"{quoted(pair.gt)} has frames of {_by(gt)} and {quoted(pair.gen)} of {_by(gen)} (height x width); "
                "make them alike, or resize and crop with --resize"
            )
        for name, metric in self.metrics.items():
            if min(gen) < metric.minimum_size:
                raise PairError(
                    f"{quoted(pair.gen)} has frames of {_by(gen)}, and {metric.label} needs at least "
                    f"{metric.minimum_size}x{metric.minimum_size}; leave {name} out with --metrics"
                )

    def _check_lengths(self, pair: Pair, lengths: tuple[int, int], sizes: tuple[Size, Size]) -> None:
        if lengths[0] != lengths[1] and not self.common_frames:
            raise PairError(
                f"{quoted(pair.gt)} has {lengths[0]} frames of {_by(sizes[0])} and {quoted(pair.gen)} "
                f"{lengths[1]} frames of {_by(sizes[1])}; make them alike, or compare the first ones "
                "that both have with --common-frames"
            )
        for name, metric in self.metrics.items():
            if isinstance(metric, VideoMetric) and min(lengths) < metric.minimum_frames:
                raise PairError(
                    f"{quoted(pair.gen)} has {min(lengths)} frames to compare, and {metric.label} needs at least "
                    f"{metric.minimum_frames}; leave {name} out with --metrics"
                )


def aligned(pair: Pair, *, common_frames: bool) -> Alignment:
    """Which frames of the two belong together; raises PairError where the numbers in their names leave that unclear."""
    if not (pair.gt.is_dir() or pair.gen.is_dir()):
        return Alignment(None, None)
    try:
        return align(pair.gt, pair.gen, common_frames=common_frames)
    except NumberingError as error:
        raise PairError(str(error)) from error
    except OSError as error:
        raise PairError(f"the frames of {quoted(pair.name)} can't be read: {error.strerror}") from error


def frame_pairs(pair: Pair, *, common_frames: bool = False) -> Generator[tuple[Frames, Frames], None, None]:
    """The frames of two videos that were compared, `[H, W, 3]` each, gt's fitted to gen's size."""
    alignment = aligned(pair, common_frames=common_frames)
    readers = Reader(pair.gt, alignment.gt), Reader(pair.gen, alignment.gen)
    with closing(readers[0].frames()) as gt_frames, closing(readers[1].frames()) as gen_frames:
        for gt, gen in zip(gt_frames, gen_frames, strict=False):
            yield (gt if gt.shape == gen.shape else fit(gt, frame_size(gen))), gen


def _notes(readers: tuple[Reader, Reader], sizes: tuple[Size, Size], lengths: tuple[int, int]) -> tuple[str, ...]:
    gt, gen = readers
    notes = [*(f"gt: {note}" for note in gt.notes), *(f"gen: {note}" for note in gen.notes)]
    notes += traits.differences(gt.traits, gen.traits)
    if gt.fps and gen.fps and abs(gt.fps / gen.fps - 1) > SAME_FPS:
        notes.append(f"frames a second differ: {gt.fps:.4g} in gt, {gen.fps:.4g} in gen")
    if sizes[0] != sizes[1]:
        notes.append(describe_fit(*sizes))
    if lengths[0] != lengths[1]:
        longer = "gt" if lengths[0] > lengths[1] else "gen"
        notes.append(f"only the first {min(lengths)} of {longer}'s {max(lengths)} frames were compared")
    return tuple(notes)


def _by(size: Size) -> str:
    return f"{size[0]}x{size[1]}"
