"""A command that measures, and what is kept of what it found."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Callable
from datetime import date
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import attrs

from cachekit.errors import CachekitError
from cachekit.files.writing import write_whole
from cachekit.generation.machine import processor_name

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results"
PROGRAMS = {"cachekit": [sys.executable, "-c", "from cachekit.cli import main; main()"], "python": [sys.executable]}
"""A command's first word, as this environment runs it."""


@cache
def shipped_weights() -> str:
    """The sha256 of opensora-mini's weights."""
    return hashlib.sha256((ROOT / "cachekit" / "opensora" / "mini" / "weights.safetensors").read_bytes()).hexdigest()


@attrs.frozen
class Measurement:
    """One command line, which writes JSON, and the part of that JSON that pages show."""

    name: str
    command: str
    """As a reader would type it at the top of the repository."""
    keep: Callable[[Any], Any]
    folder_option: str | None = None
    """The option that names the folder in which the command keeps its work and goes on; given by `measure`."""
    embedded: bool = False
    """Whether it measures opensora-mini, so that other weights make it another figure."""

    @property
    def file(self) -> Path:
        return RESULTS / f"{self.name}.json"

    def measure(self, work: Path) -> None:
        """Run the command in `work`, where it goes on if it was stopped, and keep what it found.

        Raises CachekitError where the command fails.
        """
        work.mkdir(parents=True, exist_ok=True)
        found = work / f"{self.name}.json"
        given = shlex.split(self.command)
        if self.folder_option:
            given += [self.folder_option, str(work / self.name)]
        done = subprocess.run([*PROGRAMS[given[0]], *given[1:], "--json", str(found)], cwd=ROOT, check=False)
        if done.returncode:
            raise CachekitError(f"{self.name} was not measured: `{self.command}` ended with {done.returncode}")
        kept = Kept(
            command=self.command,
            machine=f"{processor_name()}, {os.cpu_count()} processors",
            versions={name: metadata.version(name) for name in ("cachekit-dit", "torch")}
            | {"python": platform.python_version()},
            date=date.today().isoformat(),
            found=self.keep(json.loads(found.read_text(encoding="utf-8"))),
            weights=shipped_weights() if self.embedded else None,
        )
        RESULTS.mkdir(exist_ok=True)
        write_whole(self.file, json.dumps(attrs.asdict(kept), indent=1) + "\n", "the figure's file")

    def kept(self) -> Kept:
        """What was found when it was last measured; CachekitError where it never was."""
        if not self.file.exists():
            raise CachekitError(f"{self.name} was never measured: `python -m benchmarks.figures {self.name}`")
        return Kept(**json.loads(self.file.read_text(encoding="utf-8")))

    @property
    def outdated(self) -> bool:
        """Whether opensora-mini had other weights when this was measured than it is shipped with."""
        return self.embedded and self.kept().weights != shipped_weights()


@attrs.frozen
class Kept:
    """What a measurement found, and how it was made."""

    command: str
    machine: str
    versions: dict[str, str]
    date: str
    """ISO 8601."""
    found: Any
    weights: str | None = None
    """Of opensora-mini, where it was measured; by their sha256."""

    @property
    def provenance(self) -> str:
        """The lines below a figure that say how it was made."""
        return (
            f"`{self.command}`\n({self.machine}, Python {self.versions['python']}, torch {self.versions['torch']}, "
            f"cachekit {self.versions['cachekit-dit']}, {self.date})"
        )
