"""Running a line: in a forked process with a time limit, in a folder of its own; and what it touched."""

from __future__ import annotations

import hashlib
import os
import signal
import stat
import time
from pathlib import Path

import attrs
from forked import start

LIMIT = 600.0
"""Seconds of wall time after which a line hangs, on a machine however busy; of the processor's it gets fewer."""


@attrs.frozen
class Ran:
    """What became of a line."""

    words: list[str]
    status: int
    seconds: float
    out: str
    err: str
    touched: tuple[str, ...]
    """Files outside the folders given that are not as they were."""

    @property
    def faults(self) -> list[str]:
        """What must not be."""
        said = self.out + self.err
        faults = []
        if self.status in (-signal.SIGKILL, -signal.SIGXCPU):
            faults.append("hang")
        elif self.status not in (0, 1, 2):
            faults.append(f"status {self.status}")
        if "Traceback (most recent call last)" in said:
            faults.append("traceback")
        if "\x1b" in said or "\x07" in said:
            faults.append("raw control characters")
        if self.status == 2 and not ("cachekit: " in self.err or "Error: " in self.err):
            faults.append("no sentence")
        return faults + [f"touched {path}" for path in self.touched]


def run_line(words: list[str], folder: Path, guarded: Path) -> Ran:
    """Run `cachekit WORDS` with `folder` for its working folder; nothing under `guarded` may change."""
    folder.mkdir(parents=True)
    (folder / "a file").write_text("mine")
    before, begun = state(guarded), time.monotonic()
    command = start(words, folder, folder)
    status = command.wait(LIMIT)
    seconds, after = time.monotonic() - begun, state(guarded)
    touched = tuple(sorted(path for path in {**before, **after} if before.get(path) != after.get(path)))
    return Ran(words, status, seconds, command.out, command.err, touched)


def state(folder: Path) -> dict[str, tuple[object, ...]]:
    """Every file of a folder, with what tells whether it was touched."""
    found: dict[str, tuple[object, ...]] = {}
    for root, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(root, name)
            there = path.lstat()
            content = b""
            if stat.S_ISREG(there.st_mode) and there.st_size < 2**16:
                content = path.read_bytes()
            found[str(path)] = (there.st_mode, there.st_size, there.st_mtime_ns * (not path.is_dir()),
                                hashlib.sha256(content).hexdigest())  # fmt: skip
    return found
