"""A search by the workers of a cluster: trials in parallel, each measured on one worker; optuna's study stays here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from cachekit.errors import CachekitError
from cachekit.generation.generate import Cache, Request, prepare_folder
from cachekit.generation.manifest import Entry, Setting
from cachekit.interface.progress import Progress
from cachekit.scaling.dealing import Assignment, Done, Fleet
from cachekit.scaling.videos import VideoJob, Way, deal_folder
from cachekit.scaling.worker import Failed, Job
from cachekit.scaling.workplaces import workplace
from cachekit.tuning.bar import Figures
from cachekit.tuning.measuring import Gauge, reference_of
from cachekit.tuning.search import Asked, Search

if TYPE_CHECKING:
    from cachekit.interface.model import Model

MakeFleet = Callable[[Job], Fleet]
Told = Callable[[Done | None, bool], str]
"""Hears of a piece that came back, and whether it failed; returns what the bar says before it."""


@attrs.frozen(eq=False)
class References:
    """The uncached videos on their way: what a worker measures against."""

    entries: tuple[Entry, ...]
    contents: tuple[bytes, ...]


@attrs.define
class TrialJob:
    """Measures settings on one model and one set of requests."""

    model: Model
    requests: Sequence[Request]
    base: Setting
    _gauge: Gauge | None = attrs.field(default=None, init=False)

    def load(self) -> None:
        pipeline = self.model.load(device=self.base.device, dtype=self.base.dtype)
        self._gauge = Gauge(pipeline, self.requests, self.base, Path())

    def do(self, piece: Cache, context: References) -> Figures:
        gauge = self._gauge
        assert gauge is not None
        if not gauge.ready:
            with workplace() as gauge.folder:
                for entry, content in zip(context.entries, context.contents, strict=True):
                    (gauge.folder / entry.file).write_bytes(content)
                gauge.refer_to(context.entries)
        return gauge.measure(piece)


@attrs.define
class Trials:
    """A queue that asks optuna for a setting whenever a worker is free."""

    search: Search
    to_come: int
    references: Any
    shown: Progress

    def next(self, worker: int) -> Assignment | None:
        while self.to_come > 0:
            self.to_come -= 1
            asked = self.search.ask(len(self.search.study.trials))
            if asked.cache is not None:
                return Assignment(asked.cache, self.references, asked)
            self.shown.start(asked.strategy.spec)
            self.shown.finish(self.search.tell(asked, asked.figures, asked.failure))
        return None

    @property
    def left(self) -> int:
        return max(0, self.to_come)

    def gone(self, worker: int) -> None:
        """Nothing was meant for one worker alone."""


@attrs.define
class One:
    """A queue of one setting."""

    cache: Cache
    references: Any
    left: int = 1

    def next(self, worker: int) -> Assignment | None:
        if not self.left:
            return None
        self.left = 0
        return Assignment(self.cache, self.references)

    def gone(self, worker: int) -> None:
        """Nothing was meant for one worker alone."""


@attrs.define
class DealtGauge:
    """A gauge whose videos are made by a fleet."""

    model: Model
    requests: Sequence[Request]
    base: Setting
    folder: Path
    make_fleet: MakeFleet = attrs.field(repr=False)
    told: Told
    shown: Progress
    _references: References | None = attrs.field(default=None, init=False)

    def prepare(self, on_video: Callable[[Request], None]) -> None:
        """Make the uncached videos that the folder lacks."""
        fleet = self.make_fleet(VideoJob(self.model, self.base.device, self.base.dtype))
        entries = {}
        with prepare_folder(self.folder, self.base, overwrite=False) as manifest:
            for outcome, done in deal_folder(fleet, self.requests, Way(self.base, None), manifest):
                self.told(done, outcome.entry is None)
                entries[outcome.request] = reference_of(outcome, on_video)
        ordered = tuple(entries[request] for request in self.requests)
        self._references = References(ordered, tuple((self.folder / entry.file).read_bytes() for entry in ordered))

    def search(self, search: Search, trials: int) -> None:
        """Try settings until there are so many in all."""
        fleet, queue = self._begun(search, trials - len(search.finished()))
        for done in fleet.deal(queue):
            asked: Asked = done.tag
            failed = isinstance(done.result, Failed)
            figures, failure = (None, done.result.reason) if failed else (done.result, None)
            self.shown.start(f"{self.told(done, failed)}{asked.strategy.spec}")
            self.shown.finish(search.tell(asked, figures, failure))

    def measure(self, cache: Cache, on_step: Callable[[int, int], None] | None = None) -> Figures:
        """What one setting reaches; CachekitError where it can't run."""
        fleet = self.make_fleet(TrialJob(self.model, self.requests, self.base))
        for done in fleet.deal(One(cache, fleet.cluster.ray.put(self._references))):
            if isinstance(done.result, Failed):
                raise CachekitError(f"the setting can't be checked: {done.result.reason}")
            figures: Figures = done.result
        return figures

    def _begun(self, search: Search, trials: int) -> tuple[Fleet, Trials]:
        fleet = self.make_fleet(TrialJob(self.model, self.requests, self.base))
        return fleet, Trials(search, trials, fleet.cluster.ray.put(self._references), self.shown)
