"""Pairs of videos compared by the workers of a cluster: their files are sent, so no file system need be shared."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from cachekit.scaling.dealing import Assignment, Done, Fleet
from cachekit.scaling.worker import Failed
from cachekit.scaling.workplaces import workplace

if TYPE_CHECKING:
    from cachekit_eval.comparing import Comparison
    from cachekit_eval.metric import Measure
    from cachekit_eval.pairs import Pair


@attrs.frozen
class Files:
    """A video on its way: a file, or a folder of frames."""

    path: Path
    """Where it stands, for what is said of it."""
    content: Mapping[str, bytes]
    """By the name of each file; of a video that is one file, by its own."""
    is_folder: bool

    @classmethod
    def read(cls, path: Path) -> Files:
        """Raises OSError where it can't be read."""
        files = [file for file in sorted(path.iterdir()) if file.is_file()] if path.is_dir() else [path]
        return cls(path, {file.name: file.read_bytes() for file in files}, path.is_dir())

    def write(self, folder: Path) -> Path:
        """Put it into a folder of its own, under its own name."""
        folder.mkdir()
        target = folder / self.path.name
        if self.is_folder:
            target.mkdir()
        for name, content in self.content.items():
            (target / name if self.is_folder else target).write_bytes(content)
        return target


@attrs.frozen
class Sent:
    """A pair on its way."""

    name: str
    gt: Files
    gen: Files


@attrs.define
class PairJob:
    """Compares pairs by some metrics, as one process does."""

    metrics: Mapping[str, Measure]
    resize: bool
    common_frames: bool

    def load(self) -> None:
        """Nothing is needed ahead: the metrics come along."""

    def do(self, piece: Sent, context: None) -> Comparison | str:
        """The pair's figures, or why it can't be compared."""
        from cachekit_eval.comparing import Comparer
        from cachekit_eval.feeding import PairError
        from cachekit_eval.pairs import Pair
        from cachekit_eval.reading import UnreadableVideoError

        with workplace() as folder:
            here = {side: files.write(folder / side) for side, files in (("gt", piece.gt), ("gen", piece.gen))}
            try:
                with Comparer(self.metrics, 1, self.resize, self.common_frames) as comparer:
                    return comparer.compare(Pair(piece.name, here["gt"], here["gen"]))
            except (UnreadableVideoError, PairError) as error:
                said = str(error)
                for path, files in ((here["gt"], piece.gt), (here["gen"], piece.gen)):
                    said = said.replace(str(path), str(files.path))
                return said


@attrs.define
class Pairs:
    """A queue of pairs, each read when it is handed out."""

    _left: deque[Pair]
    unreadable: list[tuple[Pair, str]] = attrs.field(factory=list)

    def next(self, worker: int) -> Assignment | None:
        while self._left:
            pair = self._left.popleft()
            try:
                return Assignment(Sent(pair.name, Files.read(pair.gt), Files.read(pair.gen)), tag=pair)
            except OSError as error:
                self.unreadable.append((pair, f"{error.filename!r} can't be read: {error.strerror}"))
        return None

    @property
    def left(self) -> int:
        return len(self._left)

    def gone(self, worker: int) -> None:
        """Nothing was meant for one worker alone."""


def deal_pairs(
    fleet: Fleet, pairs: Sequence[Pair], told: Callable[[Done, bool], None]
) -> Iterator[tuple[Pair, Comparison | str]]:
    """Each pair with its figures, or with why it has none, as they are done; `told` hears of each, and if it failed."""
    queue = Pairs(deque(pairs))
    for done in fleet.deal(queue):
        found: Any = done.result.reason if isinstance(done.result, Failed) else done.result
        told(done, isinstance(found, str))
        yield done.tag, found
    yield from queue.unreadable
