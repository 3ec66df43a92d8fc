"""Running a line: in a forked process with a time limit, in a folder of its own; and what it touched."""

from __future__ import annotations

import hashlib
import os
import resource
import signal
import stat
import sys
import time
import traceback
from pathlib import Path

import attrs

LIMIT = 120.0
"""Seconds after which a line hangs; the slowest that works takes a few."""
MEMORY = 12 * 2**30
"""Bytes of address space that a line may take."""
CRASHED = 99


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
        if self.status == -signal.SIGKILL:
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
    before = state(guarded)
    start = time.monotonic()
    outs = folder.with_name(f"{folder.name}.out"), folder.with_name(f"{folder.name}.err")
    pid = os.fork()
    if pid == 0:
        os._exit(in_child(words, folder, *outs))
    status = None
    while status is None and time.monotonic() < start + LIMIT:
        done, raw = os.waitpid(pid, os.WNOHANG)
        status = os.waitstatus_to_exitcode(raw) if done else None
        time.sleep(0.005 if status is None else 0)
    if status is None:
        os.kill(pid, signal.SIGKILL)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    seconds = time.monotonic() - start
    out, err = (path.read_text(encoding="utf-8", errors="surrogateescape") for path in outs)
    after = state(guarded)
    touched = tuple(sorted(path for path in {**before, **after} if before.get(path) != after.get(path)))
    return Ran(words, status, seconds, out, err, touched)


def in_child(words: list[str], folder: Path, out: Path, err: Path) -> int:
    """What the forked process does; returns its exit status."""
    status = CRASHED
    try:
        os.chdir(folder)
        os.environ.update(HOME=str(folder), TMPDIR=str(folder), HF_HUB_OFFLINE="1")
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        for number, path in ((0, Path(os.devnull)), (1, out), (2, err)):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
            os.dup2(descriptor, number)
        sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w")  # noqa: SIM115
        from cachekit.cli import main

        main(words)
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else CRASHED
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return status & 0xFF


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
