"""Results on disk: written aside and renamed, so that a file is the old one or the new one, whole, and never a part."""

from __future__ import annotations

import errno
import hashlib
import os
import platform
import re
import shutil
import time
from pathlib import Path

from cachekit.errors import CachekitError, StoppedError
from cachekit.files.reading import shortened

PARTIAL = ".partial"
"""Suffix of a file being written."""
ABANDONED = 3600.0
"""Seconds after which a file being written elsewhere is taken for a leftover; here a dead process tells at once."""
_HOST = hashlib.sha256(platform.node().encode()).hexdigest()[:6]
_LEFTOVERS = (
    re.compile(r"\..+\.(?P<host>[0-9a-f]{6})-(?P<pid>\d{1,9})\.partial"),
    re.compile(r"\..+\.(?P<pid>\d{1,9})\.partial"),
    re.compile(r"\.(?:.+\.json|results\.csv|index\.html)\.(?P<pid>\d{1,9})"),
    re.compile(r"\..+\.(?:mp4|mkv)\.partial"),
)
"""Names of files being written: this version's, then those of others."""
_NO_MORE = ("ENOSPC", "EDQUOT", "EROFS", "EIO", "ENOENT", "ENOTDIR", "EACCES", "EPERM", "ESTALE", "ENODEV", "EMFILE")


def write_whole(path: Path, content: str | bytes, what: str) -> None:
    """Write a file whole or leave the old one as it was; a link's target is written, a device or pipe written to.

    Raises the CachekitError of `unwritten` where it can't be written.
    """
    data = content.encode("utf-8", "backslashreplace") if isinstance(content, str) else content
    target = Path(os.path.realpath(path))
    try:
        if target.exists() and not target.is_file() and not target.is_dir():
            target.write_bytes(data)
            return
        clean_leftovers(target.parent, of=target.name)
        _write_aside(target, data)
    except OSError as error:
        raise unwritten(path, what, error) from error


def _write_aside(target: Path, data: bytes) -> None:
    aside = aside_of(target)
    try:
        with aside.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if target.is_file():
            shutil.copymode(target, aside)
        aside.replace(target)
    finally:
        aside.unlink(missing_ok=True)


def append_whole(path: Path, line: str, what: str) -> None:
    """Add a line to a file, or leave the file as it was; what a kill left of a line before is cut away first.

    Raises the CachekitError of `unwritten` where it can't be written.
    """
    if not path.exists():
        write_whole(path, line, what)
        return
    try:
        with path.open("ab+") as file:
            end = _last_line_end(file.seek(0, os.SEEK_END), path)
            file.truncate(end)
            try:
                file.write(line.encode("utf-8"))
                file.flush()
                os.fsync(file.fileno())
            except OSError:
                os.truncate(path, end)
                raise
    except OSError as error:
        raise unwritten(path, what, error) from error


def cut_torn_line(path: Path) -> None:
    """Cut away what a kill or a full disk left of a file's last line; raises OSError."""
    if path.is_file():
        size = path.stat().st_size
        end = _last_line_end(size, path)
        if end < size:
            os.truncate(path, end)


def _last_line_end(size: int, path: Path) -> int:
    """Where the file's last whole line ends."""
    with path.open("rb") as file:
        end = size
        while end > 0:
            start = max(0, end - 65536)
            file.seek(start)
            found = file.read(end - start).rfind(b"\n")
            if found >= 0:
                return start + found + 1
            end = start
    return 0


def aside_of(target: Path) -> Path:
    """Where a file is written before it takes its name: hidden, beside it, and this process's own."""
    name = target.name if len(target.name.encode("utf-8", "replace")) <= 200 else target.name[:40]
    return target.with_name(f".{name}.{_HOST}-{os.getpid()}{PARTIAL}")


def clean_leftovers(folder: Path, *, of: str | None = None) -> None:
    """Remove what killed processes left half-written in a folder, of one file or of all; never a living one's."""
    for path in folder.glob(f".{_literal(of)}.*" if of is not None else ".*"):
        found = next(filter(None, (names.fullmatch(path.name) for names in _LEFTOVERS)), None)
        try:
            if found is not None and path.is_file() and not path.is_symlink() and _abandoned(path, found):
                path.unlink()
        except OSError:
            continue


def _literal(name: str) -> str:
    return re.sub(r"([*?[])", r"[\1]", name)


def _abandoned(path: Path, found: re.Match[str]) -> bool:
    parts = found.groupdict()
    if parts.get("host") not in (None, _HOST):
        return time.time() - path.stat().st_mtime > ABANDONED
    return parts.get("pid") is None or not alive(int(parts["pid"]))


def alive(pid: int) -> bool:
    """Whether a process of this number runs on this machine."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def check_target(path: Path, what: str) -> None:
    """Refuse, before the work, a file that can't be written after it; nothing is made."""
    try:
        target = Path(os.path.realpath(path))
        if target.is_dir() or not target.name:
            raise CachekitError(f"{what} {str(path)!r} is a folder; name a file")
        if not target.parent.is_dir():
            raise CachekitError(
                f"{what} {str(path)!r} can't be written, since there is no folder {str(path.parent)!r}; make it first"
            )
        place = target if target.exists() and not target.is_file() else target.parent
        if not os.access(place, os.W_OK) or (target.exists() and not os.access(target, os.W_OK)):
            raise CachekitError(f"{what} {str(path)!r} can't be written to; name another file")
    except (OSError, ValueError) as error:
        if isinstance(error, CachekitError):
            raise
        raise CachekitError(f"{what} {shortened(str(path), 100)!r} can't be written: {reason(error)}") from error


def check_folder(folder: Path) -> None:
    """Refuse, before the work, a folder that can't be made or written to; nothing is made."""
    try:
        if folder.exists():
            if not folder.is_dir():
                raise CachekitError(f"the folder {str(folder)!r} can't be written to: it is a file")
            writable = os.access(folder, os.W_OK | os.X_OK)
        else:
            above = next(parent for parent in folder.absolute().parents if os.path.lexists(parent))
            if folder.is_symlink() or not above.is_dir():
                raise CachekitError(f"the folder {str(folder)!r} can't be written to: {str(above)!r} is no folder")
            writable = os.access(above, os.W_OK | os.X_OK)
    except (OSError, ValueError) as error:
        if isinstance(error, CachekitError):
            raise
        raise CachekitError(
            f"the folder {shortened(str(folder), 100)!r} can't be written to: {reason(error)}"
        ) from error
    if not writable:
        raise CachekitError(f"the folder {str(folder)!r} can't be written to; choose another")


def make_folder(folder: Path) -> None:
    """Make a folder that results go into; CachekitError where that can't be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise unwritten(folder, "the folder", error) from error
        raise CachekitError(f"the folder {str(folder)!r} can't be written to: {reason(error)}") from error


def unwritten(path: Path, what: str, error: OSError) -> CachekitError:
    """The sentence for a file, `what`, that can't be written.

    A StoppedError where every further file will fail too: a full disk, a folder that is gone, no permission.
    """
    said = f"{what} {str(path)!r} can't be written: {reason(error)}"
    if errno.errorcode.get(error.errno or 0) not in _NO_MORE:
        return CachekitError(said)
    full = error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", None))
    return StoppedError(
        f"{said}; {'make room' if full else 'see to its folder'} and run the same command again to go on"
    )


def reason(error: Exception) -> str:
    """What the system says, without its number."""
    return getattr(error, "strerror", None) or str(error)
