"""Which video is compared with which: two folders, paired by file name, before anything is decoded."""

from __future__ import annotations

import glob
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path

import attrs

from cachekit.errors import CachekitError
from cachekit_eval.manifests import FILE_NAME
from cachekit_eval.reading import FRAME_SUFFIX, VIDEO_SUFFIXES, is_visible
from cachekit_eval.text import quoted

SHOWN_NAMES = 5


@attrs.frozen
class Pair:
    """A video of the uncached model and the strategy's video of the same name."""

    name: str
    gt: Path
    gen: Path


@attrs.frozen
class Folder:
    """A folder's videos by stem, sorted, and the names of what in it is none."""

    path: Path
    videos: dict[str, Path]
    ignored: tuple[str, ...]


def pair_folders(gt: Folder, gen: Folder) -> list[Pair]:
    """The pairs of two folders; raises CachekitError naming every video that has no counterpart."""
    faults = [
        f"{_listed(here.videos[stem].name for stem in missing)} of {quoted(here.path)} "
        f"{'has' if len(missing) == 1 else 'have'} no counterpart in {quoted(there.path)}"
        for here, there in ((gt, gen), (gen, gt))
        if (missing := [stem for stem in here.videos if stem not in there.videos])
    ]
    if faults:
        raise CachekitError(f"{', and '.join(faults)}; make what is missing or take away what is too much")
    return [Pair(stem, path, gen.videos[stem]) for stem, path in gt.videos.items()]


def read_folder(path: Path) -> Folder:
    """The videos in a folder: video files, and folders of PNG frames.

    Raises CachekitError where there is no such folder, no video in it, or two of one stem.
    """
    if not path.is_dir():
        what = "is a file, not a folder" if path.exists() else "does not exist"
        raise CachekitError(f"the folder {quoted(path)} {what}; name a folder of videos")
    videos: dict[str, Path] = {}
    ignored = []
    try:
        entries = [(entry, _stem(entry)) for entry in sorted(path.iterdir()) if is_visible(entry)]
    except OSError as error:
        raise CachekitError(f"the folder {quoted(path)} can't be read: {error.strerror}") from error
    for entry, stem in entries:
        if stem is None:
            if entry.name != FILE_NAME:
                ignored.append(entry.name)
        elif stem in videos:
            raise CachekitError(
                f"{quoted(videos[stem].name)} and {quoted(entry.name)} in {quoted(path)} have one stem, so it is "
                "unclear which to compare; take one of them away"
            )
        else:
            videos[stem] = entry
    if not videos:
        raise CachekitError(_empty(path, ignored))
    return Folder(path, dict(sorted(videos.items())), tuple(ignored))


def _stem(path: Path) -> str | None:
    """What a video pairs by, composed the same on every file system; None for what is no video."""
    if path.is_dir():
        frames = any(is_visible(file) and file.suffix.lower() == FRAME_SUFFIX for file in path.iterdir())
        return unicodedata.normalize("NFC", path.name) if frames else None
    return unicodedata.normalize("NFC", path.stem) if path.suffix.lower() in VIDEO_SUFFIXES else None


def _empty(path: Path, ignored: Sequence[str]) -> str:
    if any(name.lower().endswith(FRAME_SUFFIX) for name in ignored):
        return (
            f"{quoted(path)} holds PNG frames themselves, so it is one video and not a folder of videos; "
            "name the folder that it is in"
        )
    kinds = ", ".join(sorted(suffix[1:] for suffix in VIDEO_SUFFIXES))
    return f"there are no videos in the folder {quoted(path)}; it must hold {kinds} files or folders of PNG frames"


def expand(patterns: Iterable[str], gt: Path) -> tuple[list[Path], list[str]]:
    """The folders that `patterns` name, and notes on those left out; raises CachekitError for one that names none.

    A pattern such as `runs/*` stands for the folders it matches, except `gt` itself.
    """
    folders: list[Path] = []
    notes = []
    for pattern in patterns:
        if Path(pattern).exists() or not glob.has_magic(pattern):
            folders.append(Path(pattern))
            continue
        found = [path for path in map(Path, sorted(glob.glob(pattern))) if path.is_dir()]  # noqa: PTH207
        if not found:
            raise CachekitError(f"no folder matches {quoted(pattern)}; check the pattern")
        if any(path.resolve() == gt.resolve() for path in found):
            notes.append(f"{quoted(gt)} itself matches {quoted(pattern)} and was left out")
        folders.extend(path for path in found if path.resolve() != gt.resolve())
    unique = list(dict.fromkeys(folders))
    if not unique:
        raise CachekitError(f"only gt itself matches {quoted(' '.join(patterns))}; name the folders to compare it with")
    return unique, notes


def _listed(names: Iterable[str]) -> str:
    shown = [quoted(name) for name in names]
    more = len(shown) - SHOWN_NAMES
    return ", ".join(shown[:SHOWN_NAMES]) + (f" and {more} more" if more > 0 else "")
