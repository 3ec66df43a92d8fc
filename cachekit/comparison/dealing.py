"""A comparison by the workers of a cluster: all settings of one prompt on one worker, so its seconds are one GPU's."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from typing import Any

import attrs

from cachekit.comparison.contenders import Contender
from cachekit.comparison.running import Runner
from cachekit.generation.generate import Request
from cachekit.scaling.dealing import Assignment, Done, Fleet
from cachekit.scaling.videos import Way, keep

Baselines = Callable[[set[int]], list[Contender]]


@attrs.frozen
class Part:
    """A contender's video of a request."""

    request: Request
    contender: Contender


@attrs.define
class Prompts:
    """A queue of prompts: who takes one makes all its videos, those of baselines that join later too."""

    runner: Runner
    context: Callable[[Contender], Any]
    """What a worker is sent for a contender."""
    _fresh: deque[Request] = attrs.field(init=False)
    _of_worker: dict[int, deque[Part]] = attrs.field(factory=lambda: defaultdict(deque), init=False)
    _worker_of: dict[str, int] = attrs.field(factory=dict, init=False)
    """Who has each prompt, by its videos' name."""
    _anyone: deque[Part] = attrs.field(factory=deque, init=False)
    """What is left of those whose worker is gone."""
    _open: dict[str, int] = attrs.field(factory=lambda: defaultdict(int), init=False)
    """How many of a prompt's videos are still to come."""
    _handed: dict[str, list[Part]] = attrs.field(factory=lambda: defaultdict(list), init=False)
    """What was put into a worker's hands, by prompt."""

    def __attrs_post_init__(self) -> None:
        self._fresh = deque(request for request in self.runner.requests if self._lacking(request))

    def next(self, worker: int) -> Assignment | None:
        own = self._of_worker[worker]
        while not own and self._fresh:
            request = self._fresh.popleft()
            self._worker_of[request.name] = worker
            self._add(request)
        part = own.popleft() if own else self._anyone.popleft() if self._anyone else None
        return None if part is None else Assignment(part.request, self.context(part.contender), part)

    @property
    def left(self) -> int:
        return len(self._fresh) + len(self._anyone) + sum(map(len, self._of_worker.values()))

    def gone(self, worker: int) -> None:
        self._anyone.extend(self._of_worker.pop(worker, ()))
        self._worker_of = {name: owner for name, owner in self._worker_of.items() if owner != worker}

    def catch_up(self) -> None:
        """Let the prompts that were handed out already have the videos of contenders that joined."""
        fresh = {request.name for request in self._fresh}
        for request in self.runner.requests:
            if request.name not in fresh:
                self._add(request)

    def closed(self, part: Part) -> bool:
        """Whether this was the last of its prompt's videos."""
        self._open[part.request.name] -= 1
        return self._open[part.request.name] == 0

    def _add(self, request: Request) -> None:
        """Put a prompt's videos that nobody makes yet into its worker's hands."""
        known = {part.contender.folder for part in self._handed.get(request.name, ())}
        worker = self._worker_of.get(request.name)
        waiting = self._anyone if worker is None else self._of_worker[worker]
        for contender in self._lacking(request):
            if contender.folder not in known:
                part = Part(request, contender)
                self._handed[request.name].append(part)
                self._open[request.name] += 1
                waiting.append(part)

    def _lacking(self, request: Request) -> list[Contender]:
        """Whose video of a prompt is to be made; those that are there are taken down."""
        lacking = []
        for contender in self.runner.missing(request):
            outcome = self.runner.there(contender, request)
            if outcome is None:
                lacking.append(contender)
            else:
                self.runner.shown.start(f"{contender.label}: {request.prompt}")
                self.runner.settle(contender, outcome)
        return lacking


def deal_comparison(
    runner: Runner,
    fleet: Fleet,
    contenders: Sequence[Contender],
    baselines: Baselines,
    on_done: Callable[[Done, Part, bool], None],
) -> None:
    """Make every contender's video of every request by a fleet, and the baselines at each number of computed steps.

    `on_done` hears of each piece that comes back, and whether it failed.
    """
    put = fleet.cluster.ray.put
    ways: dict[str, Any] = {}

    def context(contender: Contender) -> Any:
        if contender.folder not in ways:
            ways[contender.folder] = put(Way(contender.setting, contender.cache, contender.sampling))
        return ways[contender.folder]

    runner.join(contenders)
    queue = Prompts(runner, context)
    join_baselines(runner, queue, baselines)  # of videos that were there
    for done in fleet.deal(queue):
        part: Part = done.tag
        outcome = keep(part.request, done.result, runner.manifest_of(part.contender))
        on_done(done, part, outcome.entry is None)
        runner.settle(part.contender, outcome)
        if queue.closed(part):
            join_baselines(runner, queue, baselines)


def join_baselines(runner: Runner, queue: Prompts, baselines: Baselines) -> None:
    """Let the baselines at the numbers of computed steps that occurred so far be compared too."""
    joined = len(runner.made)
    runner.join(baselines(runner.computed_counts()))
    if len(runner.made) > joined:
        queue.catch_up()
