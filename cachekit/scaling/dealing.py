"""Dealing pieces of work to the workers of a cluster as they come free.

Ray places the workers, starts a lost one again elsewhere, and does its piece again there, a bounded number of times.
What is here is the order: who is free gets what is next.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import attrs

from cachekit.errors import CachekitError
from cachekit.scaling.cluster import Cluster
from cachekit.scaling.worker import Failed, Job, Ready, Worker

RETRIES = 3
"""How often a piece whose worker was lost is done again, before it is given up."""
RESTARTS = 1000
"""How often a worker is started again; on machines that come and go that is often."""
IDLE = 30.0
"""Seconds for which a worker that nothing is left for is kept, while others are at work."""
STARTS_THAT_MAY_FAIL = 3
"""Workers that are lost while they load, before the work is given up: the next would be lost too."""


@attrs.frozen
class Need:
    """What a worker takes of a cluster."""

    gpus: float
    cpus: float = 1.0
    most: int | None = None
    """How many workers there may be; None for as many as there is room for."""


@attrs.frozen(eq=False)
class Assignment:
    """A piece handed out."""

    piece: Any
    context: Any = None
    """A reference in Ray's object store to what many pieces share."""
    tag: Any = None
    """What the queue knows the piece by; it stays here."""


class Queue(Protocol):
    """What is left to do, in whichever order suits the worker that asks."""

    def next(self, worker: int) -> Assignment | None:
        """A piece for this worker; None where there is none for it now."""

    @property
    def left(self) -> int:
        """How many pieces have not been handed out."""

    def gone(self, worker: int) -> None:
        """A worker will not come back: what was meant for it is anyone's."""


@attrs.frozen(eq=False)
class Done:
    """A piece that has come back."""

    piece: Any
    result: Any
    """What the job returned, or `Failed`."""
    tag: Any
    worker: int
    workers: int
    """How many are at work now."""


@attrs.define
class Fleet:
    """The workers of one job."""

    cluster: Cluster
    job: Job
    need: Need
    modules: Sequence[str] = ()
    _actors: dict[int, Any] = attrs.field(factory=dict, init=False)
    _idle: list[int] = attrs.field(factory=list, init=False)
    _starting: dict[Any, int] = attrs.field(factory=dict, init=False)
    """Workers that are asked for or loading, by the reference to their answer."""
    _working: dict[Any, tuple[int, Assignment]] = attrs.field(factory=dict, init=False)
    _failed_starts: int = attrs.field(default=0, init=False)
    _kind: Any = attrs.field(default=None, init=False)
    _arguments: Any = attrs.field(default=None, init=False)

    def deal(self, queue: Queue) -> Generator[Done, None, None]:
        """Do all of a queue's pieces; each comes back once, in the order in which they are done.

        Raises CachekitError where a worker can't do the job at all: it lacks a plugin, its weights are not there.
        """
        ray = self.cluster.ray
        try:
            while True:
                self._hand_out(queue)
                if not self._working and not queue.left:
                    return
                self._ask_for_workers(queue.left)
                waiting = [*self._working, *self._starting]
                ready = ray.wait(waiting, num_returns=1, timeout=IDLE if self._idle else None)[0]
                if not ready:
                    self._let_go(queue)
                for answer in ready:
                    if answer in self._starting:
                        self._welcome(answer)
                    else:
                        worker, assignment = self._working.pop(answer)
                        result = self._result(answer, worker)
                        if worker not in self._actors:
                            queue.gone(worker)
                        at_work = len(self._idle) + len(self._working)
                        yield Done(assignment.piece, result, assignment.tag, worker, at_work)
        finally:
            self._dismiss(list(self._actors))

    def _hand_out(self, queue: Queue) -> None:
        """Give every free worker a piece."""
        for worker in list(self._idle):
            assignment = queue.next(worker)
            if assignment is not None:
                self._idle.remove(worker)
                answer = self._actors[worker].do.remote(assignment.piece, assignment.context)
                self._working[answer] = worker, assignment

    def _let_go(self, queue: Queue) -> None:
        """Give back the GPUs of workers that nothing is left for: one that was lost may be waiting for room."""
        for worker in list(self._idle):
            self._dismiss([worker])
            queue.gone(worker)

    def _ask_for_workers(self, left: int) -> None:
        """As many as there is room for, and one more, which Ray places when there is room again."""
        at_work = len(self._idle) + len(self._working)
        room = self.cluster.capacity(self.need.cpus, self.need.gpus) + 1
        most = room if self.need.most is None else min(room, self.need.most)
        wanted = min(most - at_work - len(self._starting), left - len(self._idle) - len(self._starting))
        for _ in range(wanted if not self._starting or at_work == 0 else min(wanted, 1)):
            self._ask_for_one()

    def _ask_for_one(self) -> None:
        if self._kind is None:
            self._prepare()
        number = max(self._actors, default=-1) + 1
        actor = self._kind.remote(*self._arguments)
        self._actors[number] = actor
        # One that is lost as it loads is counted and replaced, and Ray says nothing of one that is let go meanwhile.
        self._starting[actor.start.options(max_task_retries=0).remote()] = number

    def _prepare(self) -> None:
        ray = self.cluster.ray
        self._kind = ray.remote(Worker).options(
            num_cpus=self.need.cpus,
            num_gpus=self.need.gpus,
            max_restarts=RESTARTS,
            max_task_retries=RETRIES,
        )
        self._arguments = (ray.cloudpickle.dumps(self.job), list(self.modules), str(Path.cwd()))

    def _welcome(self, answer: Any) -> None:
        """Take in a worker that has loaded the job; what it says against it is what the user is told."""
        ray = self.cluster.ray
        worker = self._starting.pop(answer)
        try:
            ready: Ready = ray.get(answer)
        except ray.exceptions.RayError as error:
            self._failed_starts += 1
            self._dismiss([worker])
            if self._failed_starts >= STARTS_THAT_MAY_FAIL and not self._idle and not self._working:
                raise CachekitError(
                    f"{self._failed_starts} workers were lost while they loaded the model, the last with "
                    f"{in_a_line(error)}; look at the memory that it needs"
                ) from error
            return
        if ready.refused is not None:
            raise CachekitError(ready.refused)
        self._failed_starts = 0
        self._idle.append(worker)

    def _result(self, answer: Any, worker: int) -> Any:
        """What a piece came to; where its worker was lost too often, a failure that says so."""
        ray = self.cluster.ray
        try:
            result = ray.get(answer)
        except ray.exceptions.ActorDiedError as error:
            self._dismiss([worker])
            return Failed(f"its worker was lost and could not be started again: {in_a_line(error)}")
        except ray.exceptions.RayError as error:
            self._idle.append(worker)
            return Failed(f"its workers were lost {RETRIES + 1} times: {in_a_line(error)}")
        self._idle.append(worker)
        return result

    def _dismiss(self, workers: Sequence[int]) -> None:
        for worker in workers:
            actor = self._actors.pop(worker)
            if worker in self._idle:
                self._idle.remove(worker)
            with suppress(Exception):  # whatever keeps a worker from being stopped, the work is over for it
                self.cluster.ray.kill(actor)


def in_a_line(error: Exception) -> str:
    """The first words of one of Ray's errors, which go on for a page."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
