"""An evaluation that can be stopped and gone on with: its JSON file is kept up to date, and read again."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import attrs

from cachekit.errors import StoppedError
from cachekit_eval.files import digest, written_aside
from cachekit_eval.text import quoted

LEAST_SHARE = 20
"""Times as long as a write takes, until the next: 3,000 pairs in one file would else be written 3,000 times."""

Digests = tuple[str, str]


@attrs.frozen
class Kept:
    """What an earlier run found of one pair, as the JSON has it."""

    values: dict[str, float]
    per_frame: dict[str, tuple[float, ...]]
    features: dict[str, tuple[float, ...]]
    frames: int
    size: tuple[int, int]
    notes: tuple[str, ...]


@attrs.define
class Keeper:
    """The JSON file of an evaluation, by the pairs in it.

    `conditions` are what the figures depend on beside the two files; a file made under others is not gone on from.
    """

    file: Path
    conditions: dict[str, Any]
    per_frame: bool
    pooled: frozenset[str]
    """Metrics of which features are needed, not values."""
    also: tuple[Path, ...] = ()
    """Files that others have kept, which are read and never written."""
    _records: dict[Digests, dict[str, Any]] = attrs.field(factory=dict, init=False)
    _next_write: float = attrs.field(default=0.0, init=False)

    def __attrs_post_init__(self) -> None:
        for file in (*self.also, self.file):
            self._learn(file)

    def _learn(self, file: Path) -> None:
        try:
            content = json.loads(file.read_bytes())
            if not _fits(content["conditions"], self.conditions):
                return
            for folder in content["folders"]:
                for video in folder["videos"]:
                    self._records[video["sha256"]["gt"], video["sha256"]["gen"]] = video
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return  # there is none yet, or it is something else, which is written over

    def digests(self, gt: Path, gen: Path) -> Digests | None:
        """Of the two files as they are now; None where one can't be read."""
        try:
            return digest(gt), digest(gen)
        except OSError:
            return None

    def find(self, digests: Digests | None) -> Kept | None:
        """What is known of these two files; None where it is not all that is asked for."""
        record = self._records.get(digests) if digests else None
        if record is None:
            return None
        try:
            kept = _kept(record)
        except (KeyError, TypeError, ValueError, AttributeError):
            return None
        wanted = set(self.conditions["metrics"])
        whole = wanted - self.pooled <= kept.values.keys() and wanted & self.pooled <= kept.features.keys()
        framed = not self.per_frame or record.get("per_frame") is not None
        return kept if whole and framed else None

    def write(self, content: Callable[[], Mapping[str, Any]], *, now: bool = False) -> None:
        """Write the file, unless it was written a moment ago; CachekitError where that can't be."""
        started = time.monotonic()
        if started < self._next_write and not now:
            return
        text = json.dumps({**content(), "conditions": self.conditions}, indent=2, ensure_ascii=False, allow_nan=False)
        try:
            with written_aside(self.file) as aside:
                aside.write_text(text + "\n", encoding="utf-8")
        except OSError as error:
            raise StoppedError(f"the JSON file {quoted(self.file)} can't be written: {error.strerror}") from error
        done = time.monotonic()
        self._next_write = done + LEAST_SHARE * (done - started)


def _fits(then: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    metrics: Mapping[str, Any] = then["metrics"]
    same = {key: value for key, value in then.items() if key != "metrics"}
    return same == {key: value for key, value in now.items() if key != "metrics"} and all(
        metrics.get(name) == conditions for name, conditions in now["metrics"].items()
    )


def _kept(record: Mapping[str, Any]) -> Kept:
    kept = Kept(
        values={name: float(value) for name, value in record["metrics"].items() if value is not None},
        per_frame={name: tuple(map(float, values)) for name, values in (record.get("per_frame") or {}).items()},
        features={name: tuple(map(float, values)) for name, values in (record.get("features") or {}).items()},
        frames=int(record["frames"]),
        size=(int(record["height"]), int(record["width"])),
        notes=tuple(map(str, record["frame_notes"])),
    )
    figures = [*kept.values.values(), *(value for values in kept.per_frame.values() for value in values)]
    if not all(map(math.isfinite, figures)):
        raise ValueError("a figure that is no number")
    return kept
