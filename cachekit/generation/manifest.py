"""`manifest.jsonl`: what a folder's videos are and how they were made, a line each.

Where several processes fill one folder, each writes a manifest of its own (`manifest-3-of-8.jsonl`), and what the
folder holds is all of them together.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from pathlib import Path
from typing import Any

import attrs

from cachekit.errors import CachekitError
from cachekit.generation.claims import Claim

NAME = "manifest.jsonl"
SHARE = re.compile(r"manifest-(\d+)-of-(\d+)\.jsonl")
"""The name of a share's manifest."""
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

    @property
    def digest(self) -> str:
        """The same for two settings that make the same videos."""
        return hashlib.sha256(json.dumps(attrs.asdict(self), sort_keys=True).encode()).hexdigest()


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
    host: str = ""
    """Name of the machine that made it."""
    machine: str = ""
    """What that machine is: processor, GPU, threads, torch; seconds of unlike machines don't compare."""

    def to_line(self) -> str:
        """As the manifest has it: the setting's fields stand beside the others."""
        flat = attrs.asdict(self)
        setting = flat.pop("setting")
        return json.dumps({"file": flat.pop("file"), "prompt": flat.pop("prompt"), **setting, **flat}) + "\n"


def entry_from(record: dict[str, Any]) -> Entry:
    """An entry from its line; KeyError or TypeError where it is none."""
    setting = Setting(**{field.name: record[field.name] for field in attrs.fields(Setting)})
    names = ("file", "prompt", "seed", "pattern", "ideal_speedup", "sha256")
    made_on = {name: record[name] for name in ("host", "machine") if name in record}
    return Entry(
        setting=setting, seconds=Seconds(**record["seconds"]), **{name: record[name] for name in names}, **made_on
    )


@attrs.define
class Manifest:
    """What one folder holds, and the file that this process adds to."""

    folder: Path
    entries: dict[str, Entry]
    """By file name, in the order made; of all the folder's manifests."""
    name: str = NAME
    """The manifest that is this process's own: no other is ever written."""
    claim: Claim | None = None
    """The lock on it, where it was taken to be written."""

    @classmethod
    def open(cls, folder: Path, name: str = NAME) -> Manifest:
        """Read a folder's manifests; empty where there are none. A last line cut off by a kill is dropped.

        It is cut away in this process's own manifest; in another's it may be a line that is being written.
        """
        manifest = cls(folder, {}, name)
        manifest.look_again()
        return manifest

    def look_again(self) -> None:
        """Read anew what the folder holds, for what other processes have added."""
        found: dict[str, Entry] = {}
        for path in manifest_files(self.folder):
            for file, entry in read_entries(path, mend=path.name == self.name).items():
                if file not in found or sha256_of(self.folder / file) == entry.sha256:
                    found[file] = entry
        self.entries = found

    def __enter__(self) -> Manifest:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let another process have this manifest."""
        if self.claim is not None:
            self.claim.release()

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
        entry = self.entries.get(file)
        return entry is not None and sha256_of(self.folder / file) == entry.sha256

    def add(self, entry: Entry) -> None:
        """Record a video that is on disk."""
        with (self.folder / self.name).open("a", encoding="utf-8") as file:
            file.write(entry.to_line())
            file.flush()
            os.fsync(file.fileno())
        self.entries[entry.file] = entry

    def clear(self) -> None:
        """Remove the recorded videos and the manifests; other files stay."""
        for entry in self.entries.values():
            (self.folder / entry.file).unlink(missing_ok=True)
        for path in manifest_files(self.folder):
            path.unlink()
        self.entries = {}


def manifest_files(folder: Path) -> list[Path]:
    """The manifests of a folder: the unshared one, then the shares' in their order."""
    whole = [path for path in (folder / NAME,) if path.exists()]
    shares = [path for path in folder.glob("manifest-*.jsonl") if SHARE.fullmatch(path.name)]
    return [*whole, *sorted(shares, key=lambda path: share_of_name(path.name)[::-1])]


def share_of_name(name: str) -> tuple[int, int]:
    """The number of the share whose manifest has this name, and of how many; 1 of 1 for the unshared one."""
    match = SHARE.fullmatch(name)
    return (int(match[1]), int(match[2])) if match else (1, 1)


def read_entries(path: Path, *, mend: bool = False) -> dict[str, Entry]:
    """One manifest's entries by file; `mend` cuts away a last line that a kill left half-written."""
    entries: dict[str, Entry] = {}
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
    if torn and mend:
        path.write_text(whole + "\n" if whole else "", encoding="utf-8")
    return entries


def difference(name: str, ours: Any, theirs: Any) -> str:
    """`name theirs, not ours`; of two mappings the first entry that differs, and long values cut."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        key = next(key for key in {**theirs, **ours} if ours.get(key, MISSING) != theirs.get(key, MISSING))
        name, ours, theirs = f"{name} {key}", ours.get(key, MISSING), theirs.get(key, MISSING)
    return f"{name} {shown(theirs)}, not {shown(ours)}"


def shown(value: Any) -> str:
    text = "unset" if value is MISSING else repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def sha256_of(path: Path) -> str | None:
    """The checksum of a file; None where there is none."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else None
