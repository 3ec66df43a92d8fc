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

LOCK, OWNER, DOOR = ".lock", ".owner", "cachekit"
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
            beside(self.path, OWNER).unlink(missing_ok=True)
            self._lock.release()


@contextmanager
def at_the_door(folder: Path) -> Iterator[None]:
    """Be alone in looking a folder over and claiming a part of it."""
    lock = filelock.FileLock(beside(folder / DOOR, LOCK))
    try:
        lock.acquire(timeout=PATIENCE)
    except filelock.Timeout:
        raise CachekitError(
            f"another process has been looking over the folder {str(folder)!r} for {PATIENCE:.0f} s; try again"
        ) from None
    try:
        yield
    finally:
        lock.release()


def claim(path: Path, digest: str) -> Claim:
    """Claim a file; CachekitError naming the process that holds it where there is one."""
    lock = filelock.FileLock(beside(path, LOCK))
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        raise CachekitError(
            f"{owner_of(path) or 'another process'} is writing {str(path)!r}; wait for it, or stop it and try again"
        ) from None
    owner = Owner(os.getpid(), platform.node(), digest)
    beside(path, OWNER).write_text(json.dumps(attrs.asdict(owner)), encoding="utf-8")
    return Claim(path, lock)


def others_at_work(folder: Path, own: Path) -> list[tuple[Path, Owner | None]]:
    """The files of a folder, other than `own`, that living processes have claimed."""
    found = []
    for lock_file in sorted(folder.glob(f".*{LOCK}")):
        path = folder / lock_file.name[1 : -len(LOCK)]
        if path in (own, folder / DOOR):
            continue
        lock = filelock.FileLock(lock_file)
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            found.append((path, owner_of(path)))
        else:
            beside(path, OWNER).unlink(missing_ok=True)
            lock.release()
    return found


def owner_of(path: Path) -> Owner | None:
    """The process that has claimed a file, as it signed; None where it did not, or not yet."""
    with suppress(OSError, ValueError, TypeError):
        return Owner(**json.loads(beside(path, OWNER).read_text(encoding="utf-8")))
    return None


def beside(path: Path, suffix: str) -> Path:
    return path.with_name(f".{path.name}{suffix}")
