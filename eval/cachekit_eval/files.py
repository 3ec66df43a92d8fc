"""Files that are written whole or not at all, and never onto what they were made from."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from cachekit.errors import CachekitError
from cachekit_eval.text import quoted

CHUNK = 1 << 20


@contextmanager
def written_aside(path: Path) -> Iterator[Path]:
    """A file to write in the place of `path`, which it replaces at the end; where that fails, `path` is as it was.

    What is no regular file, a terminal or a pipe, is written to as it is. Raises OSError.
    """
    target = path.resolve()
    if target.exists() and not target.is_file():
        yield target
        return
    aside = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        yield aside
        with aside.open("rb+") as file:
            os.fsync(file.fileno())
        if target.exists():
            aside.chmod(target.stat().st_mode & 0o777)
        aside.replace(target)
    finally:
        aside.unlink(missing_ok=True)


def check_outputs(outputs: Mapping[str, Path], inputs: Iterable[Path]) -> None:
    """Refuse, before the work, an output that can't be written, that is an input, or that two options name.

    `outputs` are by what they are: `{"JSON": Path("result.json")}`. Raises CachekitError.
    """
    read = {identity for path in inputs if (identity := _identity(path)) is not None}
    seen: dict[Path, str] = {}
    for what, path in outputs.items():
        target = path.resolve()
        if not target.parent.is_dir() or target.is_dir():
            raise CachekitError(f"the file {str(path)!r} can't be written; name a file in a folder that exists")
        if target in seen:
            raise CachekitError(f"{quoted(path)} is named for {seen[target]} and for {what}; name two files")
        if _identity(path) in read:
            raise CachekitError(f"{quoted(path)} is one of the files to be compared; name another file for {what}")
        seen[target] = what
        try:
            if not target.exists() or target.is_file():
                probe = target.with_name(f".{target.name}.{os.getpid()}.partial")
                probe.touch()
                probe.unlink()
        except OSError as error:
            raise CachekitError(f"the file {str(path)!r} can't be written: {error.strerror}") from error


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
