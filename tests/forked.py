"""The command in a forked process: as cheap as a call, and it can be killed, hang, or crash by itself."""

from __future__ import annotations

import importlib
import os
import resource
import signal
import sys
import time
import traceback
from pathlib import Path

import attrs

MEMORY = 12 * 2**30
"""Bytes of address space that a command may take."""
IMPORTED = (
    *(f"cachekit.cli.{name}" for name in ("run", "plan", "compare", "calibrate", "tune", "eval", "listings", "bench")),
    *(f"cachekit.comparison.{name}" for name in ("collecting", "page", "quality", "running", "metrics")),
    *("cachekit.cli.choices", "cachekit.cli.progress", "cachekit.cli.report", "cachekit.calibration.merge"),
    *("cachekit.opensora.mini.pipeline", "cachekit.generation.prompts", "cachekit.tuning.search"),
    *("cachekit.tuning.measuring", "cachekit_eval.evaluation", "cachekit_eval.exports", "cachekit_eval.tables"),
    *("av", "cv2", "jinja2", "lpips", "optuna", "rich.table", "torchvision"),
)
"""What commands import, which the process that forks them imports once."""
PROCESSOR_SECONDS = 90
"""What a command may take of a processor; one that takes more hangs."""
CRASHED = 99
"""Exit status of one that raised."""


@attrs.define
class Forked:
    """A command at work."""

    pid: int
    out_file: Path
    err_file: Path
    status: int | None = None
    """Exit status, or minus the signal that ended it; None while it runs."""

    def poll(self) -> int | None:
        if self.status is None:
            done, raw = os.waitpid(self.pid, os.WNOHANG)
            self.status = os.waitstatus_to_exitcode(raw) if done else None
        return self.status

    def wait(self, seconds: float) -> int:
        """Wait so long, and then kill it."""
        end = time.monotonic() + seconds
        while self.poll() is None and time.monotonic() < end:
            time.sleep(0.005)
        if self.status is None:
            self.kill()
        assert self.status is not None
        return self.status

    def kill(self) -> None:
        """As `kill -9` does."""
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)
            self.status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    @property
    def out(self) -> str:
        return self.out_file.read_text(encoding="utf-8", errors="surrogateescape")

    @property
    def err(self) -> str:
        return self.err_file.read_text(encoding="utf-8", errors="surrogateescape")


def preload() -> None:
    """Import what commands import, so that each forked one starts at once."""
    for module in IMPORTED:
        importlib.import_module(module)
    from cachekit.registry.plugins import get_plugins

    _ = get_plugins().metrics


def start(words: list[str], folder: Path, printed: Path) -> Forked:
    """Start `cachekit WORDS` with `folder` for its working folder; it prints to `printed` with `.out` and `.err`."""
    files = printed.with_name(f"{printed.name}.out"), printed.with_name(f"{printed.name}.err")
    pid = os.fork()
    if pid == 0:
        os._exit(_in_child(words, folder, *files))
    return Forked(pid, *files)


def _in_child(words: list[str], folder: Path, out: Path, err: Path) -> int:
    status = CRASHED
    try:
        os.chdir(folder)
        os.environ.update(HOME=str(folder), TMPDIR=str(folder), HF_HUB_OFFLINE="1")
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        resource.setrlimit(resource.RLIMIT_CPU, (PROCESSOR_SECONDS, PROCESSOR_SECONDS))
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
