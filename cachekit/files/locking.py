"""One process at a time in a folder: a lock that the system frees when its owner dies, and the owner's name beside."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import filelock

from cachekit.errors import CachekitError


@contextmanager
def owned(folder: Path, work: str, name: str = "cachekit") -> Iterator[None]:
    """Be the only process that works in `folder`; CachekitError naming the other one's where there is one.

    `work` says what is done there, for the others' sentence; `name` is the lock's, where a folder has several.
    """
    path, owner = folder / f".{name}.lock", folder / f".{name}.owner"
    lock = filelock.FileLock(path)
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        other = "another process"
        with suppress(OSError, UnicodeDecodeError):
            other = owner.read_text(encoding="utf-8").strip()[:200] or other
        raise CachekitError(
            f"{other} is at work in the folder {str(folder)!r}; wait for it, stop it, or choose another folder"
        ) from None
    except OSError as error:
        raise CachekitError(f"the folder {str(folder)!r} can't be written to: {error.strerror}") from error
    try:
        with suppress(OSError):  # the lock is what counts; a full disk has no room for the name
            owner.write_text(f"{work}, process {os.getpid()} on {platform.node()},", encoding="utf-8")
        yield
    finally:
        for file in (owner, path):  # filelock looks whether the file that it got the lock of is still there
            with suppress(OSError):
                file.unlink(missing_ok=True)
        lock.release()
