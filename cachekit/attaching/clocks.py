"""Clocks: which run, which step and which branch a call of the transformer belongs to.

Two serve a bare transformer. `TimestepClock` reads the timestep: a run begins when it goes back to where it came from,
and calls at one timestep are the branches of one step. `CountingClock` reads nothing and counts. A pipeline that knows
where it is brings a clock of its own.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import attrs

from cachekit.attaching.given import Argument, Conditions, Given

if TYPE_CHECKING:
    import inspect

    import torch

    from cachekit.interface.adapter import Adapter


@attrs.define(eq=False)
class Call:
    """A call of the transformer, as a clock sees it: nothing of it has been read yet."""

    adapter: Adapter
    signature: inspect.Signature
    """Of the transformer's forward."""
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    timestep: torch.Tensor | float | None
    """The noise-level input, of a batch or of tokens as it came; None where the transformer takes none."""

    @property
    def arguments(self) -> tuple[object, ...]:
        """All that the transformer was called with."""
        return (*self.args, *self.kwargs.values())

    def latents(self) -> torch.Tensor | None:
        """What the transformer was called with, looked up only where somebody asks; None where it takes none."""
        return self.adapter.latents(self.signature, self.args, self.kwargs)


@attrs.define
class Place:
    """Where a call is. One is made for each call, and a frozen one would take three times as long to make."""

    step: int
    branch: int
    begins: bool = False
    """Whether a run begins with it."""
    steps: int | None = None
    """The steps of the run that begins, where the clock knows them; None for those that the session was told."""
    timesteps: tuple[float, ...] | None = None
    """The timestep of each of them, where the clock knows them."""
    euler: bool = False
    """Whether the sampler is known to make Euler steps along a flow."""
    recovered: int = 0
    """Steps before this one that were taken for runs of their own (and so computed), but belong to this run."""
    dropped: int = 0
    """Branches before this one that belonged to a run cut short: the others move down by so many."""
    warning: str | None = None
    """What could not be told apart at this call, in a sentence; None where all was clear."""


class Clock(ABC):
    """Places calls. Each belongs to one session, or to all sessions of one pipeline."""

    @abstractmethod
    def place(self, call: Call) -> Place | None:
        """Where this call is; None for one that belongs to no run, which is the bare model's."""

    def returned(self) -> None:
        """The call placed last has returned."""
        return

    @abstractmethod
    def forget(self) -> None:
        """The run was given up (a reset, an exception): the next call begins another."""


STRANGER = (
    "from one step to the next the transformer was given other conditions, such as another caption, and not the ones "
    "before; what comes is taken for another branch of the same run, so call `session.reset()` where a run was cut "
    "short and another began"
)


@attrs.define(eq=False)
class CountingClock(Clock):
    """Counts: `calls_per_step` calls make a step, `steps` steps a run."""

    steps: int
    calls_per_step: int = 1
    _calls: int = attrs.field(default=0, init=False)

    def place(self, call: Call) -> Place:
        number = self._calls % (self.steps * self.calls_per_step)
        self._calls += 1
        return Place(*divmod(number, self.calls_per_step), begins=number == 0)

    def forget(self) -> None:
        self._calls = 0


@attrs.define(eq=False)
class TimestepClock(Clock):
    """Follows the timestep, which on a GPU waits for the step before, once a call.

    Timesteps are taken to fall through a run, as nearly all do, until two steps in a row rise. A call at the timestep
    of the one before is another branch of its step, but at a run's first timestep only with the same latents: with
    others it is another run's first. Called again with nothing changed, which no branch is, it makes a step. Branches
    are numbered in their order, and where one was always given the same tensors, such as its caption, it is known by
    them: guidance that ends leaves the other branch its number. Where `calls_per_step` is told, so many calls are one
    step whatever they are given.
    """

    JUMP: ClassVar[float] = 4.0
    """How many times the longest distance between timesteps so far the next may be, before it counts as a run that
    begins lower. Shifted schedules stay below 2.7 (shift 17, from 3 to 50 steps)."""

    calls_per_step: int | None = None
    rises: bool = False
    """Whether timesteps rise through a run."""
    _seen: list[float] = attrs.field(factory=list, init=False)
    """The timestep of each step of this run."""
    _calls: int = attrs.field(default=0, init=False)
    """Calls at the latest of them."""
    _first: Given | None = attrs.field(default=None, init=False)
    """What the run's first call was given, until its first step is over."""
    _latest: Given | None = attrs.field(default=None, init=False)
    """The same of its latest call, where that was given others than the first."""
    _arguments: tuple[Argument, ...] = attrs.field(default=(), init=False)
    """All that the call before was given."""
    _given_up: list[float] = attrs.field(factory=list, init=False)
    """The one step of the run before, in case the next shows that timesteps go the other way."""
    _turned: bool = attrs.field(default=False, init=False)
    """Whether this run changed the way that timesteps are taken to go."""
    _branches: dict[int, Conditions] = attrs.field(factory=dict, init=False)
    """What each branch of this run is known by."""
    _called: list[int] = attrs.field(factory=list, init=False)
    """Branches that were called at the latest step."""
    _stranger: int | None = attrs.field(default=None, init=False)
    """A branch that none was known to be, while it is the only one called at the latest step."""
    _shape: tuple[int, ...] | None = attrs.field(default=None, init=False)
    """Of the latents of the call before."""
    _warning: str | None = attrs.field(default=None, init=False)
    """What could not be told apart at the call being placed."""

    @classmethod
    def of_schedule(cls, calls_per_step: int | None, timesteps: Sequence[float] | None) -> TimestepClock:
        """A clock that knows from `timesteps`, where they are given, which way they go."""
        return cls(calls_per_step, rises=timesteps is not None and timesteps[-1] > timesteps[0])

    def told(self, timesteps: Sequence[float]) -> None:
        """The next run goes through these."""
        self.rises, self._turned = timesteps[-1] > timesteps[0], False

    def place(self, call: Call) -> Place | None:
        self._warning = None
        place = self._at(call)
        if place is not None and self.calls_per_step is None:
            place = self._recognised(place, call)
        if place is not None:
            place.warning = self._warning
        return place

    def _at(self, call: Call) -> Place | None:
        """Where it is by its timestep and its place among the calls made there."""
        now = readable(call.timestep)
        if now is None or math.isnan(now):  # NaN stands nowhere in a schedule, and what it gives is NaN
            return None
        before, self._arguments = self._arguments, Argument.of_all(call.arguments)
        if not self._seen:
            return self._begin(now, call)
        if now == self._seen[-1]:
            unchanged = all(map(Argument.still, before, call.arguments))
            repeated = 0 < len(before) == len(call.arguments) and unchanged
            return self._next(now) if repeated and self.calls_per_step is None else self._same(now, call)
        if (now > self._seen[-1]) == self.rises:
            self._given_up = []
            return self._begin(now, call) if self._jumps(now) else self._next(now)
        return self._back(now, call)

    def forget(self) -> None:
        self._seen, self._calls, self._first, self._latest, self._given_up = [], 0, None, None, []
        self._arguments = ()
        self._branches, self._called, self._stranger, self._shape = {}, [], None, None

    def _recognised(self, place: Place, call: Call) -> Place:
        """The place with the number of the branch whose conditions these are."""
        if place.begins:
            self._branches, self._stranger = {}, None
        elif place.dropped:
            self._branches = {n - place.dropped: known for n, known in self._branches.items() if n >= place.dropped}
            self._called = list(range(place.branch))
        if place.branch == 0:
            if self._stranger is not None and self._called == [self._stranger]:
                self._warning = self._warning or STRANGER
            self._called, self._stranger = [], None
        number = self._number(call)
        if number in self._branches:
            self._branches[number].follow(call.arguments, self._arguments)
        else:
            self._branches[number] = Conditions(self._arguments)
        self._called.append(number)
        self._shape = shape_of(call.latents())
        place.branch = number
        return place

    def _number(self, call: Call) -> int:
        """The first branch that was not called at this step yet, or one that was always given what this call is."""
        free = [number for number in sorted(self._branches) if number not in self._called]
        if not free:
            return len(self._branches)
        expected = self._branches[free[0]]
        if expected.fit(call.arguments) is not False:
            return free[0]
        for number in free[1:]:
            if self._branches[number].fit(call.arguments, expected.steady):
                return number
        shape = shape_of(call.latents())
        if shape is None or shape != self._shape:
            return free[0]
        if not self._called:
            self._stranger = len(self._branches)
        return len(self._branches)

    def _begin(self, now: float, call: Call) -> Place:
        self._seen, self._calls, self._turned = [now], 1, False
        self._first, self._latest = Given.of(call.latents()), None
        return Place(0, 0, begins=True)

    def _next(self, now: float, recovered: int = 0) -> Place:
        if self.calls_per_step is not None and self._calls < self.calls_per_step:
            self._warning = (
                f"a step made {self._calls} calls of the transformer, but calls_per_step={self.calls_per_step} was "
                "told; leave calls_per_step out where the number changes within a run, as with guidance in an interval"
            )
        self._seen.append(now)
        self._calls, self._first, self._latest = 1, None, None
        return Place(len(self._seen) - 1, 0, recovered=recovered)

    def _same(self, now: float, call: Call) -> Place:
        """Another call at the latest timestep."""
        whole = self._calls == self.calls_per_step
        if len(self._seen) == 1:
            latents = call.latents()
            others = self._first is not None and not self._first.equal(latents)
            if self._latest is not None and self._latest.equal(latents):
                return self._drop(self._calls - 1)
            if whole or (others and self.calls_per_step is None):
                return self._begin(now, call)
            self._latest = Given.of(latents) if others else None
        elif whole:
            return self._next(now)
        self._calls += 1
        return Place(len(self._seen) - 1, self._calls - 1)

    def _drop(self, calls: int) -> Place:
        """The call before had begun this run, and so many before it were a run cut short between its branches."""
        self._first, self._latest = self._latest, None
        self._calls += 1 - calls
        return Place(0, self._calls - 1, dropped=calls)

    def _back(self, now: float, call: Call) -> Place:
        """Against the way that timesteps go: another run, or at the second such move in a row, the other way.

        Where that was wrong (calls at 100, 500 and then a run from 1000), the run began at the step before.
        """
        alone = len(self._seen) == 1
        if alone and self._given_up:
            self.rises, self._turned = not self.rises, True
            recovered, self._seen, self._given_up = len(self._given_up), [*self._given_up, *self._seen], []
            return self._next(now, recovered)
        if self._turned:
            self.rises, self._turned, self._seen = not self.rises, False, self._seen[-1:]
            return attrs.evolve(self._next(now, recovered=1), begins=True)
        self._given_up = self._seen if alone else []
        return self._begin(now, call)

    def _jumps(self, now: float) -> bool:
        """Whether the step to `now` is too long for this run's schedule, so that a shorter run begins."""
        distances = [abs(after - before) for before, after in zip(self._seen, self._seen[1:], strict=False)]
        if not distances or abs(now - self._seen[-1]) <= self.JUMP * max(distances):
            return False
        self._warning = (
            f"the timestep went from {self._seen[-1]:g} to {now:g} at once, which was taken for the beginning of "
            "another run; call `session.reset()` before a run that begins where none was finished"
        )
        return True


def readable(timestep: torch.Tensor | float | None) -> float | None:
    """The timestep's value, of a batch or of tokens the greatest; None where there is none to read.

    A plain tensor in the CPU's memory is read as numpy does, which no dispatch mode takes for a wait.
    """
    if timestep is None or isinstance(timestep, (int, float)):
        return timestep
    import torch

    if timestep.numel() == 0:
        return None
    if type(timestep) is torch.Tensor and timestep.device.type == "cpu":
        values = timestep.detach().double().numpy()
        return float(values.max() if values.size > 1 else values.item())
    return float(timestep.detach().max())


def shape_of(latents: torch.Tensor | None) -> tuple[int, ...] | None:
    return None if latents is None else tuple(latents.shape)
