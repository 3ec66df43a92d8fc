"""Joining folders of videos that shares have made, each perhaps on a machine of its own."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import attrs

from cachekit.errors import CachekitError
from cachekit.files.reading import is_regular
from cachekit.files.writing import aside_of, unwritten
from cachekit.generation.generate import prepare_folder
from cachekit.generation.manifest import (
    Entry,
    Setting,
    difference,
    manifest_files,
    read_entries,
    sha256,
    share_of_name,
)
from cachekit.interface.progress import Progress


@attrs.frozen
class Recorded:
    """A video that a source's manifest lists."""

    folder: Path
    entry: Entry
    place: int
    """Where it stood in the list that was dealt out, as far as its share's manifest tells."""


@attrs.frozen
class Gathered:
    """What gathering came to."""

    videos: int
    """How many are in the folder now."""
    copied: int
    lacking: tuple[str, ...]
    """Videos that a manifest lists and that are not there whole, a sentence each."""


def gather_videos(sources: Sequence[Path], out: Path, shown: Progress) -> Gathered:
    """Copy the videos of all sources into `out`, with one manifest, in the order in which one process makes them.

    Gathering again copies what is not there yet. Raises CachekitError where a source has no manifest, and where two
    were made with other settings.
    """
    found = [recorded for source in sources for recorded in recorded_in(source)]
    if not found:
        names = ", ".join(repr(str(source)) for source in sources)
        raise CachekitError(f"no video is in the manifests of {names} yet; gather when a share has begun")
    setting = common_setting(found)
    shown.expect(len({recorded.entry.file for recorded in found}))
    copied = 0
    lacking: dict[str, str] = {}
    with prepare_folder(out, setting, overwrite=False) as manifest:
        for recorded in sorted(found, key=lambda recorded: recorded.place):
            file = recorded.entry.file
            if manifest.has_whole(file):
                continue
            shown.start(file)
            if copy_whole(recorded, out):
                manifest.add(recorded.entry)
                copied += 1
                lacking.pop(file, None)
                shown.finish(f"{file}  from {recorded.folder}")
            else:
                lacking[file] = f"{str(recorded.folder / file)!r} is in its manifest but not there whole"
                shown.finish(lacking[file])
        return Gathered(len(manifest.entries), copied, tuple(lacking.values()))


def recorded_in(source: Path) -> list[Recorded]:
    """All that a folder's manifests list."""
    files = manifest_files(source) if source.is_dir() else []
    if not files:
        what = "has no manifest.jsonl" if source.is_dir() else "is no folder"
        raise CachekitError(f"{str(source)!r} {what}, so it holds no videos of `cachekit run`; name a folder that does")
    found = []
    for path in files:
        number, of = share_of_name(path.name)
        entries = read_entries(path).values()
        found += [Recorded(source, entry, position * of + number - 1) for position, entry in enumerate(entries)]
    return found


def common_setting(found: Sequence[Recorded]) -> Setting:
    """How all of them were made; CachekitError where two differ."""
    first = found[0]
    for recorded in found:
        for field in attrs.fields(Setting):
            theirs, ours = (getattr(each.entry.setting, field.name) for each in (first, recorded))
            if ours != theirs:
                raise CachekitError(
                    f"{str(recorded.folder)!r} and {str(first.folder)!r} can't be gathered: one was made with "
                    f"{difference(field.name, theirs, ours)}; gather folders of the same settings"
                )
    return first.entry.setting


def copy_whole(recorded: Recorded, out: Path) -> bool:
    """Copy a video where it is the one that was recorded; it appears whole or not at all."""
    path, target = recorded.folder / recorded.entry.file, out / recorded.entry.file
    if not is_regular(path):
        return False
    aside = aside_of(target)
    try:
        shutil.copyfile(path, aside)
        whole = sha256(aside) == recorded.entry.sha256
        if whole:
            aside.replace(target)
        return whole
    except OSError as error:
        raise unwritten(target, "the video", error) from error
    finally:
        aside.unlink(missing_ok=True)
