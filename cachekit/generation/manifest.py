"""`manifest.jsonl`: what a folder's videos are and how they were made, a line each.

Where several processes fill one folder, each writes a manifest of its own (`manifest-3-of-8.jsonl`), and what the
folder holds is all of them together.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import attrs

from cachekit.errors import CachekitError
from cachekit.files.reading import is_regular, parse_json, read_bytes
from cachekit.files.structuring import structure
from cachekit.files.writing import append_whole, cut_torn_line, reason
from cachekit.generation.claims import Claim
from cachekit.generation.video import FORMATS, PICTURE_FILE

NAME = "manifest.jsonl"
SHARE = re.compile(r"manifest-(\d+)-of-(\d+)\.jsonl")
"""The name of a share's manifest."""
LARGEST = 2**33
"""Bytes up to which a manifest is read: a line a video of some 2 kB."""
CHUNK = 2**20
"""Bytes of a video that are read at once."""
MISSING = object()
"""In place of a value that a mapping does not have."""


def video_file(instance: object, attribute: attrs.Attribute[str], value: str) -> None:
    """A manifest names videos of its own folder alone: `--overwrite` removes what it names."""
    value = value.removesuffix(PICTURE_FILE) + ".mkv" if value.endswith(PICTURE_FILE) else value
    stem, _, suffix = value.rpartition(".")
    if not stem or stem.startswith(".") or suffix not in FORMATS or re.search(r"[/\\:\x00-\x1f]", value):
        raise ValueError(f"file must be the bare name of a video, not {value!r}")


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

    file: str = attrs.field(validator=video_file)
    prompt: str
    seed: int
    setting: Setting
    pattern: str
    ideal_speedup: float
    seconds: Seconds
    sha256: str = attrs.field(validator=attrs.validators.matches_re("[0-9a-f]{64}"))
    bytes: int | None = None
    """Size of the file; None in the manifests of earlier versions."""
    host: str = ""
    """Name of the machine that made it."""
    machine: str = ""
    """What that machine is: processor, GPU, threads, torch; seconds of unlike machines don't compare."""

    def to_line(self) -> str:
        """As the manifest has it: the setting's fields stand beside the others."""
        flat = attrs.asdict(self)
        setting = flat.pop("setting")
        line = {"file": flat.pop("file"), "prompt": flat.pop("prompt"), **setting, **flat}
        return json.dumps(line, allow_nan=False) + "\n"


_SETTING = [field.name for field in attrs.fields(Setting)]
_OWN = [field.name for field in attrs.fields(Entry) if field.name != "setting"]


def read_entries(path: Path) -> dict[str, Entry]:
    """A manifest's entries by file, in their order; a last line that was cut off by a kill is no entry.

    Raises CachekitError where it can't be read, or a line is damaged.
    """
    if not is_regular(path):
        if path.exists():
            raise CachekitError(f"{str(path)!r} is no file, so it holds no manifest; move it away")
        return {}
    try:
        lines = read_bytes(path, LARGEST).split(b"\n")[:-1]
    except (OSError, ValueError) as error:
        raise CachekitError(f"the manifest {str(path)!r} can't be read: {reason(error)}") from error
    entries: dict[str, Entry] = {}
    for number, line in enumerate(lines, start=1):
        try:
            entry = entry_from(parse_json(line.decode())) if line.strip() else None
        except ValueError as error:
            raise CachekitError(
                f"line {number} of {str(path)!r} is damaged ({error}); remove that line to make its video anew"
            ) from error
        if entry is not None:
            entries[entry.file] = entry
    return entries


def entry_from(record: object) -> Entry:
    """An entry from its line, what else stands there left out; ValueError where it is none."""
    if not isinstance(record, dict):
        raise ValueError("it is no object")
    said = {name: record[name] for name in _SETTING if name in record}
    own = {name: record[name] for name in _OWN if name in record}
    return structure({**own, "setting": said}, Entry)


def manifest_files(folder: Path) -> list[Path]:
    """The manifests of a folder: the unshared one, then the shares' in their order."""
    whole = [path for path in (folder / NAME,) if path.exists()]
    shares = [path for path in folder.glob("manifest-*.jsonl") if SHARE.fullmatch(path.name)]
    return [*whole, *sorted(shares, key=lambda path: share_of_name(path.name)[::-1])]


def share_of_name(name: str) -> tuple[int, int]:
    """The number of the share whose manifest has this name, and of how many; 1 of 1 for the unshared one."""
    match = SHARE.fullmatch(name)
    return (int(match[1]), int(match[2])) if match else (1, 1)


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
    _written_at: int | None = attrs.field(default=None, init=False)

    @classmethod
    def open(cls, folder: Path, name: str = NAME) -> Manifest:
        """Read a folder's manifests; empty where there are none. Nothing is written."""
        manifest = cls(folder, {}, name)
        manifest.look_again()
        return manifest

    def look_again(self) -> None:
        """Read anew what the folder holds, for what other processes have added."""
        found: dict[str, Entry] = {}
        for path in manifest_files(self.folder):
            for file, entry in read_entries(path).items():
                if file not in found or found[file].sha256 == entry.sha256 or is_of(entry, self.folder):
                    found[file] = entry
        self.entries, self._written_at = found, None

    def __enter__(self) -> Manifest:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let another process have this manifest."""
        if self.claim is not None:
            self.claim.release()

    def mend(self) -> None:
        """Cut away what a kill left of this process's own manifest; in another's it may be a line being written."""
        try:
            cut_torn_line(self.folder / self.name)
        except OSError as error:
            raise CachekitError(f"the manifest in {str(self.folder)!r} can't be written: {reason(error)}") from error

    def check_setting(self, setting: Setting) -> None:
        """Refuse a folder whose videos were made with other settings."""
        for entry in self.entries.values():
            if entry.setting == setting:
                continue
            for field in attrs.fields(Setting):
                ours, theirs = getattr(setting, field.name), getattr(entry.setting, field.name)
                if ours != theirs:
                    raise CachekitError(
                        f"the folder {str(self.folder)!r} was made with {difference(field.name, ours, theirs)}; "
                        "choose another --out, or --overwrite to make them anew"
                    )

    def has_whole(self, file: str, *, verify: bool = False) -> bool:
        """Whether the video is recorded, there, and the one that was written.

        Its size tells, and its checksum where the file was touched since the manifest was, or where `verify` asks.
        """
        entry, path = self.entries.get(file), self.folder / file
        if entry is None or not is_regular(path):
            return False
        there = path.stat()
        if entry.bytes is not None and there.st_size != entry.bytes:
            return False
        known = entry.bytes is not None and there.st_mtime_ns <= self._written()
        return (known and not verify) or sha256(path) == entry.sha256

    def _written(self) -> int:
        """When a manifest was last written, in nanoseconds."""
        if self._written_at is None:
            self._written_at = max((path.stat().st_mtime_ns for path in manifest_files(self.folder)), default=0)
        return self._written_at

    def add(self, entry: Entry) -> None:
        """Record a video that is on disk; the manifest stays as it was where it can't be written."""
        append_whole(self.folder / self.name, entry.to_line(), "the manifest")
        self.entries[entry.file] = entry

    def clear(self) -> None:
        """Remove the recorded videos and the manifests; other files stay."""
        try:
            for entry in self.entries.values():
                path = self.folder / entry.file
                if not path.is_dir() or path.is_symlink():
                    path.unlink(missing_ok=True)
            for path in manifest_files(self.folder):
                path.unlink()
        except OSError as error:
            raise CachekitError(f"the videos in {str(self.folder)!r} can't be removed: {reason(error)}") from error
        self.entries = {}


def is_of(entry: Entry, folder: Path) -> bool:
    """Whether the video in the folder is the one that this entry records."""
    return sha256(folder / entry.file) == entry.sha256


def difference(name: str, ours: Any, theirs: Any) -> str:
    """`name theirs, not ours`; of two mappings the first entry that differs, and long values cut."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        key = next(key for key in {**theirs, **ours} if ours.get(key, MISSING) != theirs.get(key, MISSING))
        name, ours, theirs = f"{name} {key}", ours.get(key, MISSING), theirs.get(key, MISSING)
    return f"{name} {shown(theirs)}, not {shown(ours)}"


def shown(value: Any) -> str:
    text = "unset" if value is MISSING else repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def sha256(path: Path) -> str | None:
    """The checksum of a file; None where it can't be read."""
    found = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK):
                found.update(chunk)
    except OSError:
        return None
    return found.hexdigest()
