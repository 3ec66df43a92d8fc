"""What a worker of a cluster does: it loads its job once, and does the pieces that it is dealt, one at a time."""

from __future__ import annotations

import os
import pickle
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import attrs

from cachekit.errors import CachekitError
from cachekit.generation.generate import failure_of
from cachekit.scaling.workplaces import take_away_leftovers


class Job(Protocol):
    """Work that can be dealt out: pickled, and sent to each worker once."""

    def load(self) -> None:
        """Make ready what all pieces need: a model on its GPU. CachekitError where that can't be."""

    def do(self, piece: Any, context: Any) -> Any:
        """Do one piece, and return what came of it; `context` is what many pieces have in common, or None."""


@attrs.frozen
class Failed:
    """What came of a piece that failed by an error of its own, which another worker would meet too."""

    reason: str


@attrs.frozen
class Ready:
    """A worker that has loaded its job, or why it could not."""

    host: str
    refused: str | None = None


@attrs.define
class Worker:
    """The actor: one for each GPU."""

    pickled_job: bytes
    modules: Sequence[str]
    """Plugins named by the user, to be loaded here as there."""
    folder: str
    """Where the command was given, so that relative paths mean the same, where this machine has it."""
    _job: Job | None = attrs.field(default=None, init=False)

    def start(self) -> Ready:
        """Load the job, and say whether that went well."""
        take_away_leftovers()
        try:
            self._loaded()
        except CachekitError as error:
            return Ready(platform.node(), str(error))
        return Ready(platform.node())

    def do(self, piece: Any, context: Any = None) -> Any:
        """Do one piece. A worker that was lost and started anew loads its job again first."""
        try:
            return self._loaded().do(piece, context)
        except Exception as error:  # a stranger's strategy may raise anything; the other pieces go on
            return Failed(failure_of(error))

    def _loaded(self) -> Job:
        if self._job is None:
            if Path(self.folder).is_dir():
                os.chdir(self.folder)
            job = unpickled(self.pickled_job, self.modules)
            job.load()
            self._job = job
        return self._job


def unpickled(pickled_job: bytes, modules: Sequence[str]) -> Job:
    """The job, its plugins loaded; CachekitError naming what this machine lacks."""
    from cachekit.registry.plugins import use_modules

    try:
        use_modules(modules)
        job: Job = pickle.loads(pickled_job)
    except (ImportError, AttributeError, CachekitError) as error:
        raise CachekitError(
            f"the worker on {platform.node()} lacks a plugin that the work needs ({error}); install there what is "
            "installed here, or name the module with --plugin, which sends it along"
        ) from error
    return job
