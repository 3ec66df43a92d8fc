"""Which video is compared with which: two folders, paired by file name, before anything is decoded."""

from __future__ import annotations

import glob
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path

import attrs

from cachekit.errors import CachekitError
from cachekit_eval.manifests import is_manifest
from cachekit_eval.numbering import FRAME_SUFFIXES, frame_files
from cachekit_eval.reading import VIDEO_SUFFIXES
from cachekit_eval.text import listed, printable, quoted

NAME_FOLDERS = "name the folders to compare it with"
APPLE_DOUBLE = b"\x00\x05\x16\x07"


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
    hidden: frozenset[str] = frozenset()
    """Stems of hidden folders with frames in them: videos where both sides have them, and a system's leftovers else."""

    @property
    def notes(self) -> list[str]:
        """What was passed over, in words."""
        names = listed(printable(name) for name in self.ignored)
        return [f"passed over in {quoted(self.path)}, being no videos: {names}"] if self.ignored else []


@attrs.frozen
class Pairing:
    """The pairs of two folders, and the names of gt's videos that have no counterpart and were allowed to lack it."""

    pairs: tuple[Pair, ...]
    left_out: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def pair_folders(gt: Folder, gen: Folder, *, subset: bool = False) -> Pairing:
    """The pairs of two folders; raises CachekitError naming every video that has no counterpart.

    With `subset`, gt may hold more videos than gen: they are left out, and named.
    """
    alone = {
        id(here): [stem for stem in here.videos if stem not in there.videos] for here, there in ((gt, gen), (gen, gt))
    }
    faults, notes = [], []
    for here, there in ((gt, gen), (gen, gt)):
        hidden = [stem for stem in alone[id(here)] if stem in here.hidden]
        missing = [stem for stem in alone[id(here)] if stem not in here.hidden]
        if hidden:
            notes.append(f"hidden folders of {quoted(here.path)} were passed over: {_named(here, hidden)}")
        if missing and not (subset and here is gt):
            have, names = "has" if len(missing) == 1 else "have", _named(here, missing)
            faults.append(f"{names} of {quoted(here.path)} {have} no counterpart in {quoted(there.path)}")
    shared = [stem for stem in gt.videos if stem in gen.videos]
    if faults:
        only_gt = set(gen.videos) - gen.hidden <= set(gt.videos)
        allow = ", or compare those that both have with --subset" if only_gt and shared else ""
        raise CachekitError(f"{', and '.join(faults)}; make what is missing or take away what is too much{allow}")
    if not shared:
        raise CachekitError(f"no video of {quoted(gen.path)} has a counterpart in {quoted(gt.path)}; check them")
    left_out = tuple(stem for stem in alone[id(gt)] if stem not in gt.hidden)
    if left_out:
        notes.append(
            f"{len(left_out)} of the {len(gt.videos)} videos of {quoted(gt.path)} were left out, having no counterpart "
            f"in {quoted(gen.path)}: {_named(gt, left_out)}"
        )
    return Pairing(tuple(Pair(stem, gt.videos[stem], gen.videos[stem]) for stem in shared), left_out, tuple(notes))


def read_folder(path: Path) -> Folder:
    """The videos in a folder: video files, and folders of PNG or JPEG frames.

    Raises CachekitError where there is no such folder, no video in it, or two of one stem.
    """
    if not path.is_dir():
        what = "is a file, not a folder" if path.exists() else "does not exist"
        raise CachekitError(f"the folder {quoted(path)} {what}; name a folder of videos")
    videos: dict[str, Path] = {}
    ignored, hidden = [], []
    try:
        entries = [(entry, _stem(entry)) for entry in sorted(path.iterdir())]
    except OSError as error:
        raise CachekitError(f"the folder {quoted(path)} can't be read: {error.strerror}") from error
    for entry, stem in entries:
        if stem is None:
            if not is_manifest(entry.name) and not _left_by_a_system(entry):
                ignored.append(entry.name)
        elif stem in videos:
            raise CachekitError(
                f"{quoted(videos[stem].name)} and {quoted(entry.name)} in {quoted(path)} have one stem, so it is "
                "unclear which to compare; take one of them away"
            )
        else:
            videos[stem] = entry
            hidden.extend([stem] if entry.name.startswith(".") and entry.is_dir() else [])
    if not videos:
        raise EmptyFolderError(_empty(path, ignored))
    return Folder(path, dict(sorted(videos.items())), tuple(ignored), frozenset(hidden))


class EmptyFolderError(CachekitError):
    """A folder holds no videos."""


def _stem(path: Path) -> str | None:
    """What a video pairs by, composed the same on every file system; None for what is no video."""
    if path.is_dir():
        return unicodedata.normalize("NFC", path.name) if frame_files(path)[0] else None
    if path.suffix.lower() not in VIDEO_SUFFIXES or _is_apple_double(path):
        return None
    return unicodedata.normalize("NFC", path.stem)


def _is_apple_double(path: Path) -> bool:
    """Whether a file is what macOS leaves beside another one on foreign disks, under the other's name."""
    if not path.name.startswith("._") or not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(APPLE_DOUBLE)) == APPLE_DOUBLE


def _left_by_a_system(path: Path) -> bool:
    """Whether an entry is hidden and not named as a video: settings, caches, half-finished runs."""
    return path.name.startswith(".") and path.suffix.lower() not in VIDEO_SUFFIXES


def _empty(path: Path, ignored: Sequence[str]) -> str:
    if any(Path(name).suffix.lower() in FRAME_SUFFIXES for name in ignored):
        return (
            f"{quoted(path)} holds frames themselves, so it is one video and not a folder of videos; "
            "name the folder that it is in"
        )
    kinds = ", ".join(sorted(suffix[1:] for suffix in VIDEO_SUFFIXES))
    return f"there are no videos in the folder {quoted(path)}; it must hold {kinds} or folders of PNG or JPEG frames"


def expand(patterns: Iterable[str], gt: Path) -> tuple[list[Path], list[str]]:
    """The folders that `patterns` name, and notes on those left out; raises CachekitError for one that names none.

    A pattern such as `runs/*` stands for the folders with videos that it matches, except `gt` itself.
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
        others = [path for path in found if path.resolve() != gt.resolve()]
        empty = [path for path in others if not _has_videos(path)]
        if empty:
            notes.append(f"left out, holding no videos: {listed(map(quoted, empty))}")
        folders.extend(path for path in others if path not in empty)
    unique = list(dict.fromkeys(folders))
    if not unique:
        raise CachekitError(f"no folder with videos but gt itself matches {quoted(' '.join(patterns))}; {NAME_FOLDERS}")
    return unique, notes


def _has_videos(path: Path) -> bool:
    """Whether there is a video in the folder; what else may be wrong with it is told when it is read."""
    try:
        read_folder(path)
    except EmptyFolderError:
        return False
    except CachekitError:
        return True
    return True


def _named(folder: Folder, stems: Iterable[str]) -> str:
    return listed(quoted(folder.videos[stem].name) for stem in stems)
