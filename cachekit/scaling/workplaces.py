"""Temporary folders of workers, which a worker that was killed leaves behind and the next one takes away."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import filelock

PREFIX, LOCK = "cachekit-worker-", ".lock"
NEW = 60.0
"""Seconds within which a folder may not be locked yet by the worker that is making it."""


@contextmanager
def workplace() -> Iterator[Path]:
    """A temporary folder, this process's while it lasts."""
    with tempfile.TemporaryDirectory(prefix=PREFIX) as folder, filelock.FileLock(Path(folder) / LOCK):
        yield Path(folder)


def take_away_leftovers() -> None:
    """Remove the folders of workers that are no more; the kernel has freed their locks."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with suppress(OSError, filelock.Timeout):  # another's, at work or not ours to remove
            if time.time() - folder.stat().st_mtime > NEW:
                with filelock.FileLock(folder / LOCK, timeout=0):
                    shutil.rmtree(folder)
