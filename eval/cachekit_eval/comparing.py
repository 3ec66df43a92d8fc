"""One pair of videos, streamed: frames go from the two readers to the metrics, and only figures are kept."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing

import attrs
import numpy as np

from cachekit.errors import CachekitError
from cachekit_eval.fitting import Size, describe_fit, fit, frame_size
from cachekit_eval.metric import Frames, Metric
from cachekit_eval.pairs import Pair
from cachekit_eval.reading import Reader
from cachekit_eval.text import quoted


class PairError(CachekitError):
    """Two videos can't be compared with each other."""


@attrs.frozen
class Comparison:
    """A pair's figures, a metric's in the order of the frames."""

    figures: dict[str, tuple[float, ...]]
    frames: int
    size: Size
    notes: tuple[str, ...]


@attrs.define
class Comparer:
    """Compares pairs by `metrics`, in up to `threads` threads; a context manager."""

    metrics: Mapping[str, Metric]
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
        readers = Reader(pair.gt), Reader(pair.gen)
        feeds = [_Feed(name, metric, self._pool, 2 * self.threads) for name, metric in self.metrics.items()]
        count, sizes = 0, None
        with closing(readers[0].frames()) as gt_frames, closing(readers[1].frames()) as gen_frames:
            while True:
                # Not zip, which would lose a frame of the longer video.
                gt, gen = next(gt_frames, None), next(gen_frames, None)
                if gt is None or gen is None:
                    break
                if sizes is None:
                    sizes = frame_size(gt), frame_size(gen)
                    self._check_sizes(pair, *sizes)
                if sizes[0] != sizes[1]:
                    gt = fit(gt, sizes[1])
                for feed in feeds:
                    feed.put(gt, gen)
                count += 1
            lengths = (
                count + (gt is not None) + sum(1 for _ in gt_frames),
                count + (gen is not None) + sum(1 for _ in gen_frames),
            )
        assert sizes is not None  # a reader raises for a video without frames
        self._check_lengths(pair, lengths, sizes)
        notes = _notes(readers, sizes, lengths)
        return Comparison({feed.name: feed.finish() for feed in feeds}, count, sizes[1], notes)

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


@attrs.define
class _Feed:
    """Gathers frames into a metric's batches, and its figures in order, with few batches under way at a time."""

    name: str
    metric: Metric
    pool: ThreadPoolExecutor
    most_pending: int
    _batch: list[tuple[Frames, Frames]] = attrs.field(factory=list, init=False)
    _pending: deque[Future[list[float]]] = attrs.field(factory=deque, init=False)
    _figures: list[float] = attrs.field(factory=list, init=False)

    def put(self, gt: Frames, gen: Frames) -> None:
        self._batch.append((gt, gen))
        if len(self._batch) == self.metric.batch_size:
            self._start()

    def finish(self) -> tuple[float, ...]:
        if self._batch:
            self._start()
        while self._pending:
            self._take()
        return tuple(self._figures)

    def _start(self) -> None:
        gt, gen = (np.stack(frames) for frames in zip(*self._batch, strict=True))
        self._batch.clear()
        if not self.metric.thread_safe:
            self._keep(self._compare(gt, gen))
            return
        self._pending.append(self.pool.submit(self._compare, gt, gen))
        if len(self._pending) > self.most_pending:
            self._take()

    def _take(self) -> None:
        self._keep(self._pending.popleft().result())

    def _compare(self, gt: Frames, gen: Frames) -> list[float]:
        try:
            figures = [float(figure) for figure in self.metric.compare(gt, gen)]
        except Exception as error:  # whatever a stranger's metric raises, the other pairs go on
            raise PairError(f"the metric {self.name!r} failed with {type(error).__name__}: {error}") from error
        if len(figures) != len(gt):
            raise PairError(f"the metric {self.name!r} gave {len(figures)} figures for {len(gt)} frames")
        return figures

    def _keep(self, figures: Sequence[float]) -> None:
        wrong = next((i for i, figure in enumerate(figures) if not math.isfinite(figure)), None)
        if wrong is not None:
            raise PairError(f"the metric {self.name!r} is no number for frame {len(self._figures) + wrong}")
        self._figures.extend(figures)


def _notes(readers: tuple[Reader, Reader], sizes: tuple[Size, Size], lengths: tuple[int, int]) -> tuple[str, ...]:
    gt, gen = readers
    notes = [*(f"gt: {note}" for note in gt.notes), *(f"gen: {note}" for note in gen.notes)]
    if sizes[0] != sizes[1]:
        notes.append(describe_fit(*sizes))
    if lengths[0] != lengths[1]:
        longer = "gt" if lengths[0] > lengths[1] else "gen"
        notes.append(f"only the first {min(lengths)} of {longer}'s {max(lengths)} frames were compared")
    return tuple(notes)


def _by(size: Size) -> str:
    return f"{size[0]}x{size[1]}"
