"""From a stream of frame pairs to a metric's figures: in batches to one of frames, as a stream to one of videos."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from queue import Queue

import attrs
import numpy as np

from cachekit.errors import CachekitError
from cachekit_eval.metric import Frames, Metric, VideoMetric

QUEUED_FRAMES = 8
"""Frame pairs that a metric of videos may lag behind."""


class PairError(CachekitError):
    """Two videos can't be compared with each other."""


@attrs.define
class FrameFeed:
    """Gathers frames into a metric's batches, and its figures in order, with few batches under way at a time."""

    name: str
    metric: Metric
    pool: ThreadPoolExecutor
    batch_size: int
    most_pending: int
    _batch: list[tuple[Frames, Frames]] = attrs.field(factory=list, init=False)
    _pending: deque[Future[list[float]]] = attrs.field(factory=deque, init=False)
    _figures: list[float] = attrs.field(factory=list, init=False)

    def put(self, gt: Frames, gen: Frames) -> None:
        self._batch.append((gt, gen))
        if len(self._batch) == self.batch_size:
            self._start()

    def finish(self) -> tuple[float, ...]:
        """The figure of each frame."""
        if self._batch:
            self._start()
        while self._pending:
            self._take()
        return tuple(self._figures)

    def abandon(self) -> None:
        """The pair can't be compared after all."""
        for future in self._pending:
            future.cancel()

    def _start(self) -> None:
        gt, gen = (_stacked(frames) for frames in zip(*self._batch, strict=True))
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
        wrong = _not_finite(figures)
        if wrong is not None:
            raise PairError(f"the metric {self.name!r} is no number for frame {len(self._figures) + wrong}")
        self._figures.extend(figures)


class _AbandonedError(Exception):
    """Ends the stream of a pair that can't be compared."""


@attrs.define
class VideoFeed:
    """A metric of videos at work in a thread of its own, which is handed frame pairs as they come."""

    name: str
    metric: VideoMetric
    fps: float | None
    _queue: Queue[tuple[Frames, Frames] | _AbandonedError | None] = attrs.field(init=False)
    _ended: bool = attrs.field(default=False, init=False)
    _count: int = attrs.field(default=0, init=False)
    _pool: ThreadPoolExecutor = attrs.field(init=False)
    _future: Future[float | Sequence[float]] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._queue = Queue(QUEUED_FRAMES)
        self._pool = ThreadPoolExecutor(1, thread_name_prefix=f"cachekit-eval-{self.name}")
        self._future = self._pool.submit(self._run)

    def put(self, gt: Frames, gen: Frames) -> None:
        self._count += 1
        self._queue.put((gt, gen))

    def finish(self) -> tuple[float, ...]:
        """What the metric gave: one figure, or one for each frame; of a pooled metric, the numbers for `pool`."""
        self._queue.put(None)
        try:
            given = self._future.result()
            # Shapes and types as numpy has them: a 0-dimensional array is one figure.
            figures = tuple(float(value) for value in np.atleast_1d(np.asarray(given, dtype=float)).ravel())
        except Exception as error:  # whatever a stranger's metric raises, the other pairs go on
            raise PairError(f"the metric {self.name!r} failed with {type(error).__name__}: {error}") from error
        finally:
            self._pool.shutdown()
        if not self.metric.pooled and len(figures) not in (1, self._count):
            raise PairError(f"the metric {self.name!r} gave {len(figures)} figures for {self._count} frames")
        wrong = _not_finite(figures)
        if wrong is not None:
            raise PairError(f"the metric {self.name!r} is no number" + (f" for frame {wrong}" if wrong else ""))
        return figures

    def abandon(self) -> None:
        """The pair can't be compared after all."""
        self._queue.put(_AbandonedError())
        self._pool.shutdown()

    def _run(self) -> float | Sequence[float]:
        try:
            return self.metric.compare(self._pairs(), self.fps)
        finally:
            # A metric that has seen enough must not hold up the others, whose frames come from the same decoders.
            while not self._ended:
                self._next()

    def _pairs(self) -> Iterator[tuple[Frames, Frames]]:
        while (pair := self._next()) is not None:
            yield pair

    def _next(self) -> tuple[Frames, Frames] | None:
        if self._ended:
            return None
        item = self._queue.get()
        if isinstance(item, tuple):
            return item
        self._ended = True
        if item is not None:
            raise item
        return None


def _stacked(frames: Sequence[Frames]) -> Frames:
    return np.stack(frames) if len(frames) > 1 else frames[0][None]


def _not_finite(figures: Sequence[float]) -> int | None:
    return next((i for i, figure in enumerate(figures) if not math.isfinite(figure)), None)
