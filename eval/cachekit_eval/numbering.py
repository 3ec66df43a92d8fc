"""A folder of frames as a video: in the order of the numbers in their names, and two folders paired by them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import attrs

from cachekit.errors import CachekitError
from cachekit_eval.text import listed, quoted

FRAME_SUFFIXES = frozenset({".png", ".jpg", ".jpeg"})
_PARTS = re.compile(r"([0-9]+)|([^0-9]+)")


class NumberingError(CachekitError):
    """The numbers in frames' names leave unclear which frame is which."""


@attrs.frozen
class Numbered:
    """A folder's frames by their numbers; without numbers, by their places."""

    folder: Path
    files: dict[int, Path]
    by_name: bool
    """Whether the numbers are those in the names."""


@attrs.frozen
class Alignment:
    """Which frames of two videos are compared with each other; None: all of them, as they come."""

    gt: tuple[Path, ...] | None
    gen: tuple[Path, ...] | None
    notes: tuple[str, ...] = ()


def frame_files(folder: Path) -> tuple[list[Path], list[str]]:
    """A folder's frames in the order of their numbers, `frame2.png` before `frame10.png`; and what was passed over."""
    found = [path for path in folder.iterdir() if path.suffix.lower() in FRAME_SUFFIXES and path.is_file()]
    hidden = sorted(path.name for path in found if path.name.startswith("."))
    shown = sorted((path for path in found if not path.name.startswith(".")), key=_natural)
    return shown, [f"hidden frames passed over: {listed(map(repr, hidden))}"] if hidden else []


def numbered(folder: Path) -> Numbered:
    """A folder's frames by number; raises NumberingError where two have one."""
    files, _ = frame_files(folder)
    numbers = _numbers([path.stem for path in files])
    if numbers is None:
        return Numbered(folder, dict(enumerate(files)), by_name=False)
    by_number: dict[int, Path] = {}
    for number, path in zip(numbers, files, strict=True):
        if number in by_number:
            raise NumberingError(
                f"{quoted(by_number[number].name)} and {quoted(path.name)} in {quoted(folder)} are both number "
                f"{number}, so it is unclear which to compare; take one of them away"
            )
        by_number[number] = path
    return Numbered(folder, dict(sorted(by_number.items())), by_name=True)


def align(gt: Path, gen: Path, *, common_frames: bool) -> Alignment:
    """Which frames of two videos belong together, where one of them at least is a folder of frames.

    By the numbers in the names where both have them, an offset (one from 0, the other from 1) found and said. Raises
    NumberingError where a number is missing in one of them, unless `common_frames`.
    """
    here, there = (numbered(path) if path.is_dir() else None for path in (gt, gen))
    if here is None or there is None:
        sides = [_whole(folder, common_frames) if folder else (None, ()) for folder in (here, there)]
        return Alignment(sides[0][0], sides[1][0], (*sides[0][1], *sides[1][1]))
    if not here.by_name or not there.by_name:
        notes = [
            f"the frames in {quoted(folder.folder)} have no numbers in common places of their names and were taken in "
            "the order of the names"
            for folder in (here, there)
            if not folder.by_name and len(folder.files) > 1
        ]
        return Alignment(tuple(here.files.values()), tuple(there.files.values()), tuple(notes))
    offset = _offset(here, there)
    shared = [number for number in here.files if number + offset in there.files]
    lost = [
        f"{quoted(other.folder)} has no frame {listed(map(str, missing))}, which {quoted(one.folder)} has"
        for one, other, shift in ((here, there, offset), (there, here, -offset))
        if (missing := [number + shift for number in one.files if number + shift not in other.files])
    ]
    if lost and not (common_frames and shared):
        raise NumberingError(
            f"{' and '.join(lost)}; make the frames that are missing, or compare those that both have with "
            "--common-frames"
        )
    notes = [f"frames paired by number: gen's is gt's {offset:+d}"] if offset else []
    notes += [f"only the {len(shared)} frames that both have were compared: {' and '.join(lost)}"] if lost else []
    return Alignment(
        tuple(here.files[number] for number in shared),
        tuple(there.files[number + offset] for number in shared),
        tuple(notes),
    )


def _whole(folder: Numbered, common_frames: bool) -> tuple[tuple[Path, ...], tuple[str, ...]]:
    """A folder's frames to compare with a file's, which has no numbers: none may be missing on the way."""
    numbers = list(folder.files)
    gap = next((one + 1 for one, following in pairwise(numbers) if following != one + 1), None)
    if gap is None:
        return tuple(folder.files.values()), ()
    if not common_frames:
        raise NumberingError(
            f"{quoted(folder.folder)} has no frame {gap}, though it has {numbers[-1]}; make it, or compare the frames "
            "before it with --common-frames"
        )
    before = tuple(path for number, path in folder.files.items() if number < gap)
    return before, (f"{quoted(folder.folder)} has no frame {gap}; only those before it were compared",)


def _offset(here: Numbered, there: Numbered) -> int:
    """What to add to gt's numbers for gen's: 0 unless another start leaves fewer frames alone."""

    def alone(offset: int) -> int:
        return len({number + offset for number in here.files} ^ set(there.files))

    return min((0, min(there.files) - min(here.files)), key=alone)


def _numbers(names: Sequence[str]) -> list[int] | None:
    """The number in each name that tells the frames apart; None where there is none in a place that all share."""
    parts = [_PARTS.findall(name) for name in names]
    if len({tuple(text for _, text in name) for name in parts}) != 1:
        return None
    columns = [
        [int(digits) for digits in column]
        for column in zip(*([digits for digits, _ in name] for name in parts), strict=True)
        if all(column)
    ]
    if len(names) > 1:
        columns = [column for column in columns if len(set(column)) > 1]
    # Of several that change, a frame's number is the one that runs through; the last where none does.
    runs = [column for column in columns if len(set(column)) == len(column)] or columns
    return min(reversed(runs), key=lambda column: max(column) - min(column)) if runs else None


def _natural(path: Path) -> list[tuple[int, str]]:
    return [(int(digits or -1), text) for digits, text in _PARTS.findall(path.name)]
