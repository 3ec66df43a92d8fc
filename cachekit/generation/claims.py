"""Who writes what in a folder: each manifest has one process at a time that adds to it, and the kernel frees the dead.

Several processes may work in one folder, each on a manifest of its own, as long as all make their videos alike.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import attrs
import filelock

from cachekit.errors import CachekitError
from cachekit.files.writing import reason

LOCK, OWNER, DOOR = ".lock", ".owner", "door"
PATIENCE = 60.0
"""Seconds to wait while another process looks a folder over, which takes it a moment."""


@attrs.frozen
class Owner:
    """A process that works in a folder."""

    pid: int
    host: str
    digest: str
    """Of how it makes its videos."""

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


@attrs.define
class Claim:
    """The right to write one file of a folder, held until it is released or this process ends."""

    path: Path
    _lock: filelock.BaseFileLock

    def release(self) -> None:
        """Give the file to whoever comes next."""
        if self._lock.is_locked:
            for file in (beside(self.path, OWNER), beside(self.path, LOCK)):
                with suppress(OSError):
                    file.unlink(missing_ok=True)
            self._lock.release()


@contextmanager
def at_the_door(folder: Path) -> Iterator[None]:
    """Be alone in looking a folder over and claiming a part of it."""
    lock = locked(folder / DOOR, PATIENCE)
    if lock is None:
        raise CachekitError(
            f"another process has been looking over the folder {str(folder)!r} for {PATIENCE:.0f} s; try again"
        )
    try:
        yield
    finally:
        Claim(folder / DOOR, lock).release()


def claim(path: Path, digest: str) -> Claim:
    """Claim a file; CachekitError naming the process that holds it where there is one."""
    lock = locked(path)
    if lock is None:
        raise CachekitError(
            f"{owner_of(path) or 'another process'} is at work in the folder {str(path.parent)!r} on {path.name!r}; "
            "wait for it, stop it, or choose another folder"
        )
    owner = Owner(os.getpid(), platform.node(), digest)
    with suppress(OSError):  # the lock is what counts; a full disk has no room for the name
        beside(path, OWNER).write_text(json.dumps(attrs.asdict(owner)), encoding="utf-8")
    return Claim(path, lock)


def others_at_work(folder: Path, own: Path) -> list[tuple[Path, Owner | None]]:
    """The manifests of a folder, other than `own`, that living processes have claimed."""
    found = []
    for lock_file in sorted(folder.glob(f".manifest*.jsonl{LOCK}")):
        path = folder / lock_file.name[1 : -len(LOCK)]
        if path == own:
            continue
        lock = locked(path)
        if lock is None:
            found.append((path, owner_of(path)))
        else:
            Claim(path, lock).release()
    return found


def locked(path: Path, patience: float = 0) -> filelock.BaseFileLock | None:
    """The lock of a file, taken; None where another has it."""
    lock = filelock.FileLock(beside(path, LOCK))
    try:
        lock.acquire(timeout=patience)
    except filelock.Timeout:
        return None
    except OSError as error:
        raise CachekitError(f"the folder {str(path.parent)!r} can't be written to: {reason(error)}") from error
    return lock


def owner_of(path: Path) -> Owner | None:
    """The process that has claimed a file, as it signed; None where it did not, or not yet."""
    with suppress(OSError, ValueError, TypeError):
        return Owner(**json.loads(beside(path, OWNER).read_text(encoding="utf-8")))
    return None


def beside(path: Path, suffix: str) -> Path:
    return path.with_name(f".{path.name}{suffix}")
