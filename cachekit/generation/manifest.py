"""`manifest.jsonl`: what a folder's videos are and how they were made, a line each."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import attrs

from cachekit.errors import CachekitError

NAME = "manifest.jsonl"
MISSING = object()
"""In place of a value that a mapping does not have."""


@attrs.frozen
class Setting:
    """How videos are made: what all videos of one folder have in common."""

    model: str
    model_options: dict[str, Any]
    strategy: str
    predictor: str | None
    """With its fields, `taylor:order=1`; None for the uncached model."""
    params: dict[str, Any]
    """As `as_record` has them: a measured matrix by its digest."""
    steps: int
    guidance_scale: float
    device: str
    dtype: str
    format: str


@attrs.frozen
class Seconds:
    """Wall time of each stage of one video."""

    text: float
    denoising: float
    decoding: float


@attrs.frozen
class Entry:
    """One video of a folder."""

    file: str
    prompt: str
    seed: int
    setting: Setting
    pattern: str
    ideal_speedup: float
    seconds: Seconds
    sha256: str

    def to_line(self) -> str:
        """As the manifest has it: the setting's fields stand beside the others."""
        flat = attrs.asdict(self)
        setting = flat.pop("setting")
        return json.dumps({"file": flat.pop("file"), "prompt": flat.pop("prompt"), **setting, **flat}) + "\n"


def entry_from(record: dict[str, Any]) -> Entry:
    """An entry from its line; KeyError or TypeError where it is none."""
    setting = Setting(**{field.name: record[field.name] for field in attrs.fields(Setting)})
    names = ("file", "prompt", "seed", "pattern", "ideal_speedup", "sha256")
    return Entry(setting=setting, seconds=Seconds(**record["seconds"]), **{name: record[name] for name in names})


@attrs.define
class Manifest:
    """The manifest of one folder."""

    folder: Path
    entries: dict[str, Entry]
    """By file name, in the order made."""

    @classmethod
    def open(cls, folder: Path) -> Manifest:
        """Read a folder's manifest; empty where there is none. A last line cut off by a kill is dropped."""
        path = folder / NAME
        entries: dict[str, Entry] = {}
        if path.exists():
            text = path.read_text(encoding="utf-8", errors="replace")
            whole, _, torn = text.rpartition("\n")
            for number, line in enumerate(whole.splitlines(), start=1):
                try:
                    entry = entry_from(json.loads(line))
                except (ValueError, KeyError, TypeError) as error:
                    raise CachekitError(
                        f"line {number} of {str(path)!r} is damaged ({error}); remove that line to make its video anew"
                    ) from error
                entries[entry.file] = entry
            if torn:
                path.write_text(whole + "\n" if whole else "", encoding="utf-8")
        return cls(folder, entries)

    def check_setting(self, setting: Setting) -> None:
        """Refuse a folder whose videos were made with other settings."""
        for entry in self.entries.values():
            for field in attrs.fields(Setting):
                ours, theirs = getattr(setting, field.name), getattr(entry.setting, field.name)
                if ours != theirs:
                    raise CachekitError(
                        f"the folder {str(self.folder)!r} was made with {difference(field.name, ours, theirs)}; "
                        "choose another --out, or --overwrite to make them anew"
                    )

    def has_whole(self, file: str) -> bool:
        """Whether the video is recorded, there, and the one that was written."""
        entry, path = self.entries.get(file), self.folder / file
        return entry is not None and path.exists() and sha256(path) == entry.sha256

    def add(self, entry: Entry) -> None:
        """Record a video that is on disk."""
        with (self.folder / NAME).open("a", encoding="utf-8") as file:
            file.write(entry.to_line())
            file.flush()
            os.fsync(file.fileno())
        self.entries[entry.file] = entry

    def clear(self) -> None:
        """Remove the recorded videos and the manifest; other files stay."""
        for entry in self.entries.values():
            (self.folder / entry.file).unlink(missing_ok=True)
        (self.folder / NAME).unlink(missing_ok=True)
        self.entries = {}


def difference(name: str, ours: Any, theirs: Any) -> str:
    """`name theirs, not ours`; of two mappings the first entry that differs, and long values cut."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        key = next(key for key in {**theirs, **ours} if ours.get(key, MISSING) != theirs.get(key, MISSING))
        name, ours, theirs = f"{name} {key}", ours.get(key, MISSING), theirs.get(key, MISSING)
    return f"{name} {shown(theirs)}, not {shown(ours)}"


def shown(value: Any) -> str:
    text = "unset" if value is MISSING else repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
