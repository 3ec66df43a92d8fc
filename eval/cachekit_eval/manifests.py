"""`manifest.jsonl`: what `cachekit run` wrote beside its videos. Read where it is, and never required."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from cachekit_eval.text import quoted

FILE_NAME = "manifest.jsonl"


@attrs.frozen
class Entry:
    """What a manifest says of one video; None for what it leaves out."""

    prompt: str | None = None
    seed: int | None = None
    model: str | None = None
    strategy: str | None = None
    predictor: str | None = None
    params: dict[str, Any] | None = None
    steps: int | None = None
    pattern: str | None = None
    """`X` computed, `.` skipped, one character a step."""
    denoising_seconds: float | None = None


@attrs.frozen
class Manifest:
    """A folder's entries by the file name they are for, and what could not be read."""

    entries: dict[str, Entry] = attrs.field(factory=dict)
    notes: tuple[str, ...] = ()

    def __getitem__(self, video: Path) -> Entry:
        return self.entries.get(video.name, Entry())


def read_manifest(folder: Path) -> Manifest:
    """The manifest in `folder`; an empty one where there is none. A line that is no entry is noted and passed over."""
    path = folder / FILE_NAME
    try:
        lines = path.read_bytes().splitlines()
    except OSError:
        return Manifest()
    entries, faulty = {}, []
    for number, line in enumerate(lines, start=1):
        try:
            content = json.loads(line)
            file = content["file"]
            entries[str(file)] = _entry(content)
        except (ValueError, KeyError, TypeError):
            if line.strip():
                faulty.append(str(number))
    notes = (f"{quoted(path)}: line {', '.join(faulty)} is no entry and was passed over",) if faulty else ()
    return Manifest(entries, notes)


def _entry(content: Mapping[str, Any]) -> Entry:
    def field(name: str, kind: type) -> Any:
        value = content.get(name)
        return value if isinstance(value, kind) and not isinstance(value, bool) else None

    seconds = content.get("seconds")
    denoising = seconds.get("denoising") if isinstance(seconds, Mapping) else None
    usable = isinstance(denoising, int | float) and not isinstance(denoising, bool) and 0 < denoising < float("inf")
    return Entry(
        prompt=field("prompt", str),
        seed=field("seed", int),
        model=field("model", str),
        strategy=field("strategy", str),
        predictor=field("predictor", str),
        params=field("params", dict),
        steps=field("steps", int),
        pattern=field("pattern", str),
        denoising_seconds=float(denoising) if usable and denoising is not None else None,
    )


def differences(gt: Entry, gen: Entry) -> list[str]:
    """In words, what should be the same of two videos that are compared, and is not."""
    return [
        f"{name} differs: {theirs!r} in gt, {ours!r} in gen"
        for name in ("prompt", "seed", "model", "steps")
        for theirs, ours in [(getattr(gt, name), getattr(gen, name))]
        if theirs is not None and ours is not None and theirs != ours
    ]
