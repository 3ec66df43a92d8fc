"""Files that are compared, told apart by what they hold, and results that are never written onto one of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from cachekit.errors import CachekitError
from cachekit.files.writing import check_target
from cachekit_eval.text import quoted

CHUNK = 1 << 20


def check_outputs(outputs: Mapping[str, Path], inputs: Iterable[Path]) -> None:
    """Refuse, before the work, an output that can't be written, that is an input, or that two options name.

    `outputs` are by what they are: `{"JSON": Path("result.json")}`. Raises CachekitError.
    """
    read = {identity for path in inputs if (identity := _identity(path)) is not None}
    seen: dict[Path, str] = {}
    for what, path in outputs.items():
        check_target(path, f"the file of {what}")
        target = path.resolve()
        if target in seen:
            raise CachekitError(f"{quoted(path)} is named for {seen[target]} and for {what}; name two files")
        if _identity(path) in read:
            raise CachekitError(f"{quoted(path)} is one of the files to be compared; name another file for {what}")
        seen[target] = what


def digest(path: Path) -> str:
    """SHA-256 of a file; of a folder, of the names and digests of the frames in it. Raises OSError."""
    if path.is_dir():
        from cachekit_eval.numbering import frame_files

        lines = "".join(f"{digest(frame)} {frame.name!r}\n" for frame in frame_files(path)[0])
        return hashlib.sha256(lines.encode("utf-8", "backslashreplace")).hexdigest()
    found = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            found.update(chunk)
    return found.hexdigest()


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
