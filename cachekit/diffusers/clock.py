"""The pipeline's clock: run, step and branch of a call, from the scheduler and the pipeline, without reading a tensor.

A run is a schedule: `set_timesteps` makes a new `scheduler.timesteps`, so another tensor is another run, whatever the
run before was cut short by. The step is the scheduler's own count of its steps, from where this run began; of samplers
that keep none, which entry of the schedule the timestep is a view of, or else another timestep. The branch is the name
that the pipeline gives the call (`cache_context`), or else how many calls the step has made.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import attrs

from cachekit.attaching.clocks import Call, Clock, Place, readable

if TYPE_CHECKING:
    import torch


@attrs.define(eq=False)
class Schedule(Sequence[float]):
    """A part of the scheduler's timesteps, read only by who looks: on a GPU that waits."""

    tensor: torch.Tensor
    first: int
    length: int
    _values: list[float] | None = attrs.field(default=None, init=False)

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: Any) -> Any:
        return self.values()[index]

    def __iter__(self) -> Iterator[float]:
        return iter(self.values())

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Schedule) and (self.tensor is other.tensor or "cpu" not in str(self.tensor.device)):
            return (self.tensor is other.tensor, self.first, self.length) == (True, other.first, other.length)
        return isinstance(other, (Schedule, tuple)) and list(self.values()) == list(other)

    def values(self) -> list[float]:
        if self._values is None:
            self._values = self.tensor[self.first : self.first + self.length].float().tolist()
        return self._values


@attrs.frozen
class Entries:
    """Where a schedule's timesteps lie in memory.

    Pipelines hand on views of them. Places are compared, not values, so nothing waits for a GPU: while the schedule
    lives, what lies within it is a view of it, for no two tensors of a process share an address, whatever their device.
    """

    start: int
    size: int
    """Bytes of one."""
    count: int
    dtype: torch.dtype

    @classmethod
    def of(cls, timesteps: object) -> Entries | None:
        """Those of a scheduler's timesteps; None where they are no tensor."""
        import torch

        if not isinstance(timesteps, torch.Tensor):
            return None
        return cls(timesteps.data_ptr(), timesteps.element_size(), timesteps.numel(), timesteps.dtype)

    def entry(self, timestep: object) -> int | None:
        """Which one this timestep is a view of, as pipelines expand it; None where it is a copy."""
        import torch

        if not isinstance(timestep, torch.Tensor) or timestep.dtype != self.dtype:
            return None
        place = (timestep.data_ptr() - self.start) // self.size
        if not 0 <= place < self.count:
            return None
        count = timestep.numel()
        if count == 1:
            return place
        expanded = all(s == 0 or n == 1 for s, n in zip(timestep.stride(), timestep.shape, strict=True))
        return place if count > 1 and expanded else None


@attrs.define(eq=False)
class PipelineRun:
    """Where a pipeline is; one for all of its transformers, which share its steps."""

    pipe: Any
    number: int = 0
    """Counts the runs."""
    context: str | None = None
    """What the pipeline calls the call that it is making."""
    listener: Any = None
    """Who is told of a transformer's first call in a run, `placed()`, and of each that returned, `called()`."""
    _timesteps: torch.Tensor | None = attrs.field(default=None, init=False)
    """Of the run's scheduler: another tensor is another run."""
    _steps: int = attrs.field(default=0, init=False)
    _first: int = attrs.field(default=0, init=False)
    """The entry of the schedule that this run begins at."""
    _step: int = attrs.field(default=0, init=False)
    _base: int | None = attrs.field(default=None, init=False)
    """The scheduler's own count at the run's first step."""
    _waiting: bool = attrs.field(default=False, init=False)
    """Whether the scheduler had not begun to count at the run's first call."""
    _calls: int = attrs.field(default=0, init=False)
    """Calls of the step so far that bear no name."""
    _named: set[str] = attrs.field(factory=set, init=False)
    """Names of the step's calls so far."""
    _value: float | None = attrs.field(default=None, init=False)
    """The timestep of the last call, where nothing else tells steps apart."""
    _branches: dict[str, int] = attrs.field(factory=dict, init=False)
    _entries: Entries | None = attrs.field(default=None, init=False)
    """Where the entries of the run's schedule lie."""
    _views: bool = attrs.field(default=False, init=False)
    """Whether this run's timesteps come as views of its schedule; then one which is none belongs to no step of it."""
    _unset: Any = attrs.field(init=False)
    """The scheduler's timesteps at first, where nobody has set them: no schedule of any run."""

    @_unset.default
    def _not_set_yet(self) -> Any:
        scheduler = self.pipe.scheduler
        unset = getattr(scheduler, "num_inference_steps", None) is None
        return getattr(scheduler, "timesteps", None) if unset else None

    @property
    def schedule(self) -> Schedule | None:
        """The timesteps of this run; None before the first."""
        return None if self._timesteps is None else Schedule(self._timesteps, self._first, self._steps)

    @property
    def steps(self) -> int:
        return self._steps

    def place(self, call: Call) -> tuple[int, int] | None:
        """Step and branch of this call; None for one outside the schedule."""
        scheduler = self.pipe.scheduler
        timesteps = getattr(scheduler, "timesteps", None)
        if timesteps is None or timesteps is self._unset:
            return None
        if timesteps is not self._timesteps:
            self._begin(scheduler, timesteps, call)
        elif self._views and self._entry(call) is None:
            return None
        step = self._step_of(scheduler, call)
        if step != self._step:
            self._step, self._calls, self._named = step, 0, set()
        if not 0 <= step < self._steps:
            return None
        return step, self._branch()

    def _begin(self, scheduler: Any, timesteps: torch.Tensor, call: Call) -> None:
        self.number += 1
        self._timesteps, self._entries = timesteps, Entries.of(timesteps)
        entry = self._entry(call)
        self._views = entry is not None
        begins = getattr(scheduler, "_begin_index", None)
        if begins is not None:
            self._first, self._steps = begins, len(timesteps) - begins
        elif entry:
            self._first, self._steps = entry, len(timesteps) - entry
        else:
            told = getattr(self.pipe, "_num_timesteps", None) or len(timesteps)
            self._first, self._steps = 0, min(told, len(timesteps))
            if entry is None:
                self._first = len(timesteps) - self._steps
        self._step, self._calls, self._named, self._branches, self._value = 0, 0, set(), {}, None
        index = getattr(scheduler, "_step_index", None)
        self._base = begins if begins is not None else index
        self._waiting = index is None

    def _step_of(self, scheduler: Any, call: Call) -> int:
        index = getattr(scheduler, "_step_index", None)
        if index is not None:
            if self._base is None:
                self._base = index - 1 if self._waiting else index
            return int(index - self._base)
        entry = self._entry(call)
        if entry is not None:
            return entry - self._first
        if hasattr(scheduler, "_step_index"):
            return self._step + 1 if self.context in self._named else self._step
        value = readable(call.timestep)
        moved = self._value is not None and value != self._value
        self._value = value
        return self._step + 1 if moved else self._step

    def _entry(self, call: Call) -> int | None:
        return self._entries.entry(call.timestep) if self._entries is not None else None

    def _branch(self) -> int:
        if self.context is None:
            self._calls += 1
            name = f"call {self._calls}"
        else:
            name = self.context
            while name in self._named:
                name += "'"
            self._named.add(name)
        return self._branches.setdefault(name, len(self._branches))


@attrs.define(eq=False)
class PipelineClock(Clock):
    """One transformer's view of its pipeline's run."""

    run: PipelineRun
    _number: int | None = attrs.field(default=None, init=False)
    """The run of its last call."""

    def place(self, call: Call) -> Place | None:
        where = self.run.place(call)
        if where is None:
            return None
        if self.run.number == self._number:
            return Place(*where)
        if self.run.listener is not None:
            self.run.listener.placed()
        self._number = self.run.number
        euler = is_euler(self.run.pipe.scheduler)
        return Place(*where, True, self.run.steps, self.run.schedule, euler)  # type: ignore[arg-type]

    def returned(self) -> None:
        if self.run.listener is not None:
            self.run.listener.called()

    def forget(self) -> None:
        self._number = None


EULER_OF_FLOWS = frozenset({"FlowMatchEulerDiscreteScheduler"})
"""Schedulers that add the output times the distance in σ, of which their timesteps are a multiple."""


def is_euler(scheduler: object) -> bool:
    """Whether the scheduler makes Euler steps along a flow, without noise of its own."""
    config = getattr(scheduler, "config", {})
    return type(scheduler).__name__ in EULER_OF_FLOWS and not config.get("stochastic_sampling", False)
