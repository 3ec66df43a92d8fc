"""`manifest.jsonl`: what `cachekit run` wrote beside its videos. Read where it is, and never required."""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import attrs

from cachekit_eval.text import listed, quoted

FILE_NAME = "manifest.jsonl"
SHARE = re.compile(r"manifest-\d+-of-\d+\.jsonl")
"""The manifest of one of several processes that filled a folder; what it holds is in all of them together."""
LARGEST = 2**63 - 1
DEEPEST = 32
"""Levels of lists and objects within one parameter."""


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
        return self.entries.get(_composed(video.name), Entry())


def read_manifest(folder: Path, videos: Iterable[Path] | None = None) -> Manifest:
    """What the manifests in `folder` say; nothing where there are none.

    A line that is no entry, or has a value that no result can hold, is noted and passed over; so is, where the folder's
    `videos` are given, an entry whose video is not among them.
    """
    there = None if videos is None else {_composed(video.name) for video in videos}
    parts = [_read(path, there) for path in manifest_files(folder)]
    entries = {file: entry for part in parts for file, entry in part.entries.items()}
    return Manifest(entries, tuple(note for part in parts for note in part.notes))


def manifest_files(folder: Path) -> list[Path]:
    """The manifests of a folder: those of shares first, so that the unshared one has the last word.

    The unshared one may stand beside a folder that holds videos alone, as VBench wants.
    """
    resolved = folder.resolve()
    shares = sorted(path for path in folder.glob("manifest-*.jsonl") if SHARE.fullmatch(path.name))
    places = (folder / FILE_NAME, resolved.parent / f"{resolved.name}.{FILE_NAME}")
    return [*filter(Path.is_file, shares), *[path for path in places if path.is_file()][:1]]


def is_manifest(name: str) -> bool:
    return name == FILE_NAME or SHARE.fullmatch(name) is not None


def _read(path: Path, there: set[str] | None) -> Manifest:
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        return Manifest(notes=(f"{quoted(path)} can't be read: {error.strerror}",))
    entries, faulty, odd = {}, [], []
    for number, line in enumerate(lines, start=1):
        try:
            content = json.loads(line)
            file = content["file"]
            entries[_composed(_text(file))] = _entry(content)
        except OddValueError as error:
            odd.append(f"line {number} ({error})")
        except (ValueError, KeyError, TypeError, RecursionError):
            if line.strip():
                faulty.append(str(number))
    notes = [f"{quoted(path)}: line {listed(faulty)} is no entry and was passed over"] if faulty else []
    if odd:
        notes.append(f"{quoted(path)}: {listed(odd)} has a value that can't be kept and was passed over")
    if there is not None:
        missing = [quoted(file) for file in entries if file not in there]
        if missing:
            notes.append(f"{quoted(path)} names {listed(missing)}, which the folder does not hold")
    return Manifest(entries, tuple(notes))


class OddValueError(ValueError):
    """A value that no result could hold: not finite, no text, or too large."""


def _entry(content: Mapping[str, Any]) -> Entry:
    def field(name: str, kind: type) -> Any:
        value = content.get(name)
        if not isinstance(value, kind) or isinstance(value, bool):
            return None
        _check(value, name)
        return value

    seconds = content.get("seconds")
    denoising = seconds.get("denoising") if isinstance(seconds, Mapping) else None
    if isinstance(denoising, bool) or not isinstance(denoising, int | float):
        denoising = None
    _check(denoising, "seconds")
    pattern = field("pattern", str)
    if pattern is not None and set(pattern) - set("X._"):
        raise OddValueError("pattern: other characters than X, . and _")
    return Entry(
        prompt=field("prompt", str),
        seed=field("seed", int),
        model=field("model", str),
        strategy=field("strategy", str),
        predictor=field("predictor", str),
        params=field("params", dict),
        steps=field("steps", int),
        pattern=pattern,
        denoising_seconds=float(denoising) if denoising is not None and denoising > 0 else None,
    )


def _check(value: object, name: str, depth: int = 0) -> None:
    """Raise OddValueError for what JSON, a table or a file's name could not hold."""
    if isinstance(value, str):
        _text(value)
    elif isinstance(value, float) and not math.isfinite(value):
        raise OddValueError(f"{name}: {value}")
    elif isinstance(value, int) and abs(value) > LARGEST:
        raise OddValueError(f"{name}: a whole number beyond 64 bits")
    elif isinstance(value, list | dict):
        if depth == DEEPEST:
            raise OddValueError(f"{name}: more than {DEEPEST} levels")
        for item in (*value, *value.values()) if isinstance(value, dict) else value:
            _check(item, name, depth + 1)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise OddValueError("a lone surrogate, which is no text") from None
    return value


def _composed(name: str) -> str:
    """A file's name, the same on every file system; a picture's is that of its folder (`name/0.png`)."""
    return unicodedata.normalize("NFC", name.removesuffix("/0.png"))


def differences(gt: Entry, gen: Entry) -> list[str]:
    """In words, what should be the same of two videos that are compared, and is not."""
    return [
        f"{name} differs: {theirs!r} in gt, {ours!r} in gen"
        for name in ("prompt", "seed", "model", "steps")
        for theirs, ours in [(getattr(gt, name), getattr(gen, name))]
        if theirs is not None and ours is not None and theirs != ours
    ]
