"""A strategy at work on one transformer.

Nothing here knows a strategy or a model. For each call of the transformer: the clock says where it is, the strategy
decides, the predictor answers, the gate carries that to the blocks and brings back the span's residual.
"""

from __future__ import annotations

import inspect
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import attrs
import torch

from cachekit.attaching.call import BodyCall, ForwardCall, PlacedCall
from cachekit.attaching.clocks import Call, Clock, CountingClock, Place, TimestepClock
from cachekit.attaching.gate import Gate
from cachekit.attaching.interception import Standing
from cachekit.attaching.run import RunState, Schedule, predicts_ahead
from cachekit.attaching.spans import check_probes, check_same_blocks, span_of
from cachekit.attaching.standing import stand
from cachekit.attaching.trace import Trace
from cachekit.errors import CachekitError, CachekitWarning
from cachekit.interface.residuals import held_bytes
from cachekit.interface.span import Span
from cachekit.interface.step import Step
from cachekit.interface.strategy import Strategy

if TYPE_CHECKING:
    import types

    from torch import nn
    from torch.distributed import ProcessGroup

    from cachekit.interface.adapter import Adapter
    from cachekit.interface.predictor import Predictor


@attrs.define(eq=False, repr=False)
class Session:
    """A strategy attached to one transformer; made by `attach`. As a context manager it detaches at its end."""

    transformer: nn.Module
    adapter: Adapter
    strategy: Strategy
    predictor: Predictor
    steps: int
    calls_per_step: int | None = None
    timesteps: tuple[float, ...] | None = None
    """The timestep of each step, where they were told; for strategies that plan by them."""
    watch: bool = True
    """Whether to read timesteps; else calls are counted."""
    euler: bool = False
    """Whether the sampler is known to make Euler steps along a flow; for strategies that correct (`Run.euler`)."""
    group: ProcessGroup | None = None
    """The ranks that share the tokens of one generation."""
    clock: Clock = attrs.field(default=None)
    """What places calls; by default one of a bare transformer."""
    _span: Span = attrs.field(init=False)
    _gate: Gate = attrs.field(init=False)
    _whole: bool = attrs.field(init=False)
    """Whether the transformer's whole call is the span."""
    _standing: list[Standing] = attrs.field(factory=list, init=False)
    _signature: inspect.Signature = attrs.field(init=False)
    _schedule: Schedule = attrs.field(init=False)
    _run: RunState | None = attrs.field(default=None, init=False)
    _latest: Trace = attrs.field(factory=lambda: Trace(""), init=False)
    _finished: list[Trace] = attrs.field(factory=list, init=False)
    _call: PlacedCall | None = attrs.field(default=None, init=False)
    _foreign: bool = attrs.field(default=False, init=False)
    """Whether a call is in progress that belongs to no run."""
    _paused: bool = attrs.field(default=False, init=False)
    _proven: bool = attrs.field(default=False, init=False)
    """Whether the span's last block has ever run, so that the adapter is right about it."""
    _busy: threading.Lock = attrs.field(factory=threading.Lock, init=False)
    """Held through each call."""
    _hidden_from_dynamo: bool = attrs.field(default=False, init=False)
    _told: set[str] = attrs.field(factory=set, init=False)
    """Warnings given, each once."""

    def __attrs_post_init__(self) -> None:
        if self.clock is None:
            self._schedule = self._settle(self.steps, self.timesteps, self.euler)
            self.clock = self._own_clock()
        else:  # it knows the steps of each run, so nothing is planned for a number that may never be asked for
            self._schedule = Schedule(self.strategy, self.predictor, self.steps, self.timesteps, self.euler)
        self._whole = self.strategy.scope == "forward"
        self._span = span_of(self.transformer, self.adapter, self.strategy)
        check_probes(self.strategy, self.adapter)  # which an adapter may know once it was asked for the blocks
        if not self._whole:
            self.adapter.check_span(self._span)
        self._gate = Gate(
            self.adapter,
            self._span,
            inner=self.strategy.inner,
            begin_unseen=self._begin_unseen,
            end_unseen=self._end_unseen,
        )
        self._signature = inspect.signature(self.transformer.forward)
        gate = None if self._whole else self._gate
        self._standing = stand(self, self.transformer, self._span, gate, asking=not self._ahead)

    def __repr__(self) -> str:
        state = "" if self._standing else ", detached"
        return f"<Session of {self.strategy!r} on a {type(self.transformer).__name__}, {self.steps} steps{state}>"

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: types.TracebackType | None,
    ) -> None:
        self.detach()

    @property
    def trace(self) -> Trace:
        """The latest run's decisions, whether it has finished or not."""
        return self._run.trace if self._run is not None and self._run.branches else self._latest

    @property
    def traces(self) -> list[Trace]:
        """All finished runs, oldest first."""
        current = [self._run.trace] if self._run is not None and self._run.complete else []
        return [*self._finished, *current]

    @property
    def held_bytes(self) -> int:
        """Bytes of the tensors that strategy, predictor and corrector hold at this moment."""
        branches = self._run.branches.values() if self._run is not None else ()
        return held_bytes([(branch.strategy, branch.predictor, branch.corrector) for branch in branches])

    @property
    def strategies(self) -> list[Strategy]:
        """Of the run in progress, each branch's copy."""
        return [branch.strategy for branch in self._run.branches.values()] if self._run is not None else []

    def detach(self) -> None:
        """Put the transformer back as it was and let go of everything kept; a second call does nothing."""
        for standing in reversed(self._standing):
            standing.remove()
        self._standing = []
        self._paused = True
        self._give_up_run()

    def reset(
        self, *, steps: int | None = None, timesteps: Sequence[float] | None = None, euler: bool | None = None
    ) -> None:
        """Begin a new run at the next call, whatever was in progress; from now on with these steps and timesteps.

        `timesteps`, one a step, serve strategies that plan by them; other `steps` drop the ones given before. `euler`
        says whether the sampler adds each output times the distance to the next timestep, which some strategies use.
        Raises CachekitError where the strategy has no plan for them.
        """
        count = self.steps if steps is None else check_count("steps", steps)
        if timesteps is not None:
            timesteps = tuple(timesteps)
            if len(timesteps) != count:
                raise CachekitError(f"{len(timesteps)} timesteps were given for {count} steps; give one a step")
        elif count == self.steps:
            timesteps = self.timesteps
        euler = self.euler if euler is None else euler
        self._schedule = self._settle(count, timesteps, euler)
        self.steps, self.timesteps, self.euler = count, timesteps, euler
        self._give_up_run()
        if timesteps is not None and isinstance(self.clock, TimestepClock):
            self.clock.told(timesteps)

    def finish(self) -> None:
        """The run in progress is over, as its caller knows: let go of what it kept. The next call begins another."""
        self._give_up_run()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Within it, calls of the transformer are the bare model's and no steps of a run."""
        before, self._paused = self._paused, True
        try:
            yield
        finally:
            self._paused = before or not self._standing

    def begin(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        """The transformer is called: find out where we are and, where that can be done ahead, decide.

        False where the whole call is skipped.
        """
        if self._paused:
            return True
        if not self._busy.acquire(blocking=False):
            raise CachekitError(
                f"this {type(self.transformer).__name__} was called while another call of it was still running; a "
                "session follows one generation at a time, so let them wait for each other or give each thread its "
                "own copy of the model, with a session of its own"
            )
        try:
            return self._begin(args, kwargs)
        except BaseException:
            self._leave_call()
            self._give_up_run()
            raise

    def end(self, returned: Any) -> Any:
        """The transformer has run, or its whole call was skipped: what its caller gets."""
        call = self._call
        if call is None:
            if self._foreign:
                self._leave_call()
            return returned
        try:
            if isinstance(call, BodyCall):
                if self._gate.left != 1:
                    self._check_passage(self._gate)
                self._proven = self._proven or self._gate.left == 1
            returned = call.end(returned)
            if call.branch.corrector is not None:
                returned = call.correct(returned, self.adapter)
            self.clock.returned()
            return returned
        except BaseException:
            self._give_up_run()
            raise
        finally:
            self._leave_call()

    def fail(self) -> None:
        """The transformer raised, so the run is over."""
        if self._call is not None:
            self._give_up_run()
        if self._call is not None or self._foreign:
            self._leave_call()

    def _begin(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        kind = self.adapter.call_kind(self._signature, args, kwargs)
        if kind == "bare":
            self._foreign = True
            return True
        timestep = self.adapter.timestep(self._signature, args, kwargs)
        if timestep is None and isinstance(self.clock, TimestepClock):
            self.clock = CountingClock(self.steps, self.calls_per_step or 1)
        call = Call(self.adapter, self._signature, args, kwargs, timestep)
        place = self.clock.place(call)
        if place is None:
            self._foreign = True
            return True
        if place.warning is not None:
            self._warn(place.warning)
        run = self._run
        if run is None or place.begins:
            run = self._begin_run(place)
        if place.recovered:
            run.recover(place.recovered)
        if place.dropped:
            run.drop(place.dropped)
        if place.step >= run.schedule.steps:
            self._warn(
                f"the run has made more than the {run.schedule.steps} steps that were told, and what comes after them "
                "is computed; tell the right number with `session.reset(steps=...)`"
            )
        branch = run.arrive(place.step, place.branch)
        step = Step(
            place.step, run.schedule.steps, place.branch, None, timestep, self._probe, None, call.latents, self.group
        )
        if self._whole:
            self._call = ForwardCall(run, branch, step, kind == "computed", self.adapter)
        else:
            self._call = BodyCall(run, branch, step, kind == "computed", self._gate)
            if not self._hidden_from_dynamo:
                self._hide_from_dynamo()
        return self._call.begin()

    def _begin_run(self, place: Place) -> RunState:
        """The run that begins with the call at this place; the one before is over."""
        check_same_blocks(self.transformer, self.adapter, self._span)
        self._close_run(told=place.steps is None)
        told = (place.steps, place.timesteps, place.euler)
        if place.steps is not None and told != (self.steps, self.timesteps, self.euler):
            self._schedule = self._settle(place.steps, place.timesteps, place.euler)
            self.steps, self.timesteps, self.euler = place.steps, place.timesteps, place.euler
        self._run = RunState(self._schedule)
        return self._run

    def _check_passage(self, gate: Gate) -> None:
        """The span's last block did not run once: refused, or where that may be meant, warned of."""
        check_same_blocks(self.transformer, self.adapter, self._span)
        last, name = self._span.last, type(self.transformer).__name__
        if gate.left > 1:
            raise CachekitError(
                f"the blocks of this {name} ran {gate.left} times in one call of it, and no one residual stands for "
                "that; name the blocks that run once with an adapter of your own (`adapter=`)"
            )
        if not self._proven:
            raise CachekitError(
                f"the last block that {type(self.adapter).__name__} names did not run, so it does not fit this "
                f"{name}; name another with `adapter=`"
            )
        if gate.skipping:
            raise CachekitError(
                f"this {name} left out block {last} on a skipped step, which would have answered for all; "
                "call the model within `session.paused()` where it leaves out its last block"
            )
        self._warn(
            f"this {name} leaves out block {last} on some calls, so there is nothing to predict them from and they "
            "are all computed"
        )

    def _decide(self, gate: Gate) -> None:
        """The span is entered on a step whose decision or prediction could not be made before."""
        assert isinstance(self._call, BodyCall)
        self._call.decide()

    def _probe(self, name: str) -> torch.Tensor:
        entered = self._gate.entered
        if entered is None:
            raise CachekitError(f"the probe {name!r} is known only once the model's body is entered")
        return self.adapter.probe(name, self.transformer, entered.hidden, entered.args, entered.kwargs)

    def _hide_from_dynamo(self) -> None:
        """Have the gate ask without being traced, once somebody compiles."""
        seen = "torch._dynamo" in sys.modules
        if self._gate.ask is None or (seen and not self._hidden_from_dynamo):
            hide: Callable[[Any], Any] = torch.compiler.disable if seen else (lambda function: function)
            self._gate.decide, self._gate.ask = hide(self._decide), hide(self._gate.enter)
            self._hidden_from_dynamo = seen

    def _begin_unseen(self) -> bool:
        """The span is entered though no call has begun: the forward was called past the transformer's `__call__`.

        Such calls are counted, for their arguments are not seen; with a head, whose input is not seen, they are bare.
        """
        if self._paused or self._foreign or (self._busy.locked() and not self._gate.unseen and self._call is None):
            return False
        if self._call is not None:
            self.fail()
        if self._span.first > 0:
            self._warn(
                f"the forward of this {type(self.transformer).__name__} was called past its `__call__`, where "
                f"{type(self.strategy).__name__} can't follow; call the transformer itself"
            )
            return False
        if not isinstance(self.clock, CountingClock):
            self.clock = CountingClock(self.steps, self.calls_per_step or 1)
        return self.begin((), {})

    def _end_unseen(self) -> None:
        self.end(None)

    def _leave_call(self) -> None:
        self._gate.close()
        self._call, self._foreign = None, False
        if self._busy.locked():
            self._busy.release()

    def _close_run(self, *, told: bool = False) -> None:
        """The run is over; where its steps were told by the caller and are not what it made, that is said."""
        run, self._run = self._run, None
        if run is None or not run.branches:
            return
        self._latest = run.trace
        if run.complete:
            self._finished.append(run.trace)
        elif told:
            self._warn(
                f"a run ended after {len(run.calls)} of the {run.schedule.steps} steps that were told; where it was "
                f"to have no more, tell them with `session.reset(steps={len(run.calls)})`"
            )

    def _give_up_run(self) -> None:
        """The next call begins another run."""
        self._close_run()
        if isinstance(self.clock, CountingClock):
            self.clock.steps = self.steps
        self.clock.forget()

    @property
    def _ahead(self) -> bool:
        """Whether the strategy plans, with a predictor that needs nothing of a step but its position."""
        return type(self.strategy).plan is not Strategy.plan and predicts_ahead(self.predictor)

    def _settle(self, steps: int, timesteps: tuple[float, ...] | None, euler: bool) -> Schedule:
        """All that depends on the schedule alone; CachekitError where the strategy refuses it."""
        schedule = Schedule(self.strategy, self.predictor, steps, timesteps, euler)
        for number in range(self.calls_per_step or 1):
            schedule.settle(number)
        return schedule

    def _own_clock(self) -> Clock:
        if not self.watch:
            return CountingClock(self.steps, self.calls_per_step or 1)
        return TimestepClock.of_schedule(self.calls_per_step, self.timesteps)

    def _warn(self, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            warnings.warn(text, CachekitWarning, stacklevel=2)


def check_count(name: str, value: int) -> int:
    """`value`, refused where it is no whole number of at least 1."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise CachekitError(f"{name} must be a whole number of at least 1, not {value!r}")
    return value
