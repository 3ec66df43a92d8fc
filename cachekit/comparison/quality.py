"""How far each contender's videos are from the uncached ones, by the evaluator; what was judged once is kept."""

from __future__ import annotations

import json
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from cachekit.errors import CachekitError
from cachekit.files.reading import is_regular, parse_json, read_bytes
from cachekit.files.structuring import structure
from cachekit.files.writing import append_whole, reason, unwritten

if TYPE_CHECKING:
    from cachekit_eval import NamedMetric

FILE, FILES = "quality.jsonl", "quality*.jsonl"
SCRATCH = ".judging"
"""Where pairs are shown to the evaluator as two folders; a kill may leave it, and the next run clears it."""
LARGEST = 2**33


@attrs.frozen
class Pair:
    """A video, and the uncached one of the same prompt and seed."""

    gt: Path
    gen: Path
    gt_sha256: str
    gen_sha256: str

    @property
    def key(self) -> tuple[str, str]:
        return self.gt_sha256, self.gen_sha256


@attrs.frozen
class Metric:
    """A metric as it was used, or why it was not."""

    name: str
    label: str
    unit: str
    higher_is_better: bool
    protocol: str
    unavailable: str | None


@attrs.frozen
class Judged:
    """A line of the memory: a pair by its checksums, and its figures by metric."""

    gt: str
    gen: str
    values: dict[str, float]


@attrs.define
class Judge:
    """The evaluator, with a memory on disk of the pairs that it has judged."""

    folder: Path
    metrics: Sequence[str] | None = None
    """Names; None for every metric that can be had here."""
    lpips_weights: str | None = None
    file: str = FILE
    """The memory that this process adds to; it knows what those of all shares hold."""
    infos: list[Metric] = attrs.field(factory=list, init=False)
    _named: list[NamedMetric] = attrs.field(factory=list, init=False)
    _known: dict[tuple[str, str], dict[str, float]] = attrs.field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        from cachekit_eval.selection import select_metrics

        from cachekit.comparison.metrics import registered_metrics

        self._named = registered_metrics(self.metrics, self.lpips_weights)
        selection = select_metrics(self._named, self.lpips_weights)
        names = [field.name for field in attrs.fields(Metric)]
        self.infos = [Metric(**{name: getattr(info, name) for name in names}) for info in selection.infos]

    def recall(self) -> None:
        """Read what was judged before; a line that is none, as a kill leaves it, is passed over and judged again."""
        for path in sorted(self.folder.glob(FILES)):
            for record in judged(path):
                self._known[record.gt, record.gen] = record.values

    @property
    def available(self) -> list[str]:
        return [info.name for info in self.infos if info.unavailable is None]

    def judge(self, pairs: Iterable[Pair], on_pair: Callable[[int, int], None] | None = None) -> dict[Pair, str]:
        """Judge the pairs that were not yet; returns those that can't be compared, with the reason."""
        new = [pair for pair in pairs if not set(self.available) <= set(self._known.get(pair.key, {}))]
        by_folder: dict[Path, list[Pair]] = defaultdict(list)
        for pair in new:
            by_folder[pair.gen.parent].append(pair)
        failures: dict[Pair, str] = {}
        done = 0
        for group in by_folder.values():
            failures.update(self._judge_folder(group))
            done += len(group)
            if on_pair is not None:
                on_pair(done, len(new))
        return failures

    def values(self, pair: Pair) -> dict[str, float] | None:
        """A pair's figures by metric; None where it was not or could not be judged."""
        known = self._known.get(pair.key)
        return None if known is None else {name: known[name] for name in self.available if name in known}

    def _judge_folder(self, pairs: Sequence[Pair]) -> dict[Pair, str]:
        """The evaluator compares folders, so these pairs, and no other video, are shown to it as two folders."""
        import cachekit_eval

        metrics = [named for named in self._named if named.name in self.available]
        by_name = {pair.gen.stem: pair for pair in pairs}
        scratch = self.folder / f"{SCRATCH}{self.file.removeprefix('quality').removesuffix('.jsonl')}"
        try:
            remove(scratch)
            gt, gen = scratch / "gt", scratch / "gen"
            for view, paths in ((gt, [pair.gt for pair in pairs]), (gen, [pair.gen for pair in pairs])):
                view.mkdir(parents=True)
                for path in paths:
                    show(path, view / path.name)
            evaluation = cachekit_eval.evaluate(gt, gen, metrics)
        except OSError as error:
            raise unwritten(scratch, "the folder of videos to be judged", error) from error
        finally:
            remove(scratch)
        for video in evaluation.videos:
            values = {name: value for name, value in video.values.items() if value is not None}
            self._remember(by_name[video.name], values)
        return {by_name[failure.name]: failure.reason for failure in evaluation.failures}

    def _remember(self, pair: Pair, values: dict[str, float]) -> None:
        known = self._known.setdefault(pair.key, {})
        known.update(values)
        record = {"gt": pair.gt_sha256, "gen": pair.gen_sha256, "values": known}
        append_whole(self.folder / self.file, json.dumps(record, allow_nan=False) + "\n", "the file of figures")


def judged(path: Path) -> Iterator[Judged]:
    """The lines of a memory; CachekitError where it can't be read."""
    try:
        if not is_regular(path):
            raise ValueError("it is no file")
        lines = read_bytes(path, LARGEST).split(b"\n")
    except (OSError, ValueError) as error:
        raise CachekitError(f"{str(path)!r} can't be read: {reason(error)}; move it away") from error
    for line in lines:
        with suppress(ValueError):
            yield structure(parse_json(line.decode()), Judged)


def remove(folder: Path) -> None:
    """Remove a folder of links that this process, or a killed one, made."""
    if folder.is_dir() and not folder.is_symlink():
        shutil.rmtree(folder, ignore_errors=True)
    else:
        folder.unlink(missing_ok=True)


def show(path: Path, view: Path) -> None:
    """The file under another name: a link, or a copy where the file system has none."""
    try:
        view.symlink_to(path.resolve())
    except OSError:
        shutil.copyfile(path, view)
