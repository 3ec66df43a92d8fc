"""A strategy at work on one transformer.

Nothing here knows a strategy or a model: the strategy decides, the predictor answers, the adapter reads and writes the
blocks' arguments, and the session carries values between them and keeps the state of each run.
"""

from __future__ import annotations

import copy
import inspect
from typing import TYPE_CHECKING

import attrs

from cachekit.attaching.interception import Arguments, Forward, Interception, KeywordArguments
from cachekit.attaching.trace import Trace, trace_of
from cachekit.errors import CachekitError
from cachekit.interface.residuals import add, clone, held_bytes, layout, streams, subtract
from cachekit.interface.step import Step
from cachekit.interface.strategy import COMPUTED, SKIPPED, Run, Strategy, checked_plan, checked_predictor

if TYPE_CHECKING:
    import types

    import torch
    from torch import nn

    from cachekit.interface.adapter import Adapter
    from cachekit.interface.predictor import Predictor
    from cachekit.interface.residuals import Residual

SAME_TIMESTEP = 1e-4
"""Relative difference under which a timestep counts as the one that the run began with."""


@attrs.define
class Branch:
    """One branch of one run: its own copies of the strategy and the predictor, and its decisions so far."""

    strategy: Strategy
    predictor: Predictor
    plan: str | None
    decisions: str = ""
    kept_layout: tuple[object, ...] | None = None
    """Layout of the last computed step's residual; None before the first."""

    def decide(self, step: Step) -> bool:
        """Whether to compute this step; the first is computed whatever the strategy answers."""
        wanted = self.plan[step.index] == COMPUTED if self.plan is not None else self.strategy.should_compute(step)
        compute = bool(wanted) or self.kept_layout is None
        self.decisions += COMPUTED if compute else SKIPPED
        return compute

    def needs_residual(self, index: int) -> bool:
        """Whether a later step may be predicted from this one; where a plan skips nothing more, nothing is kept."""
        return self.plan is None or SKIPPED in self.plan[index + 1 :]


@attrs.define
class Body:
    """The call of the body in which we are."""

    branch: Branch
    step: Step
    skipped: bool
    input_versions: tuple[int, ...]

    def write(self, output: Residual) -> None:
        """Keep what a computed body did."""
        if versions(self.step.hidden) != self.input_versions:
            raise CachekitError(
                "a block wrote into the hidden states it was given, so the residual is lost; "
                "set `clone_hidden = True` on the adapter of this model"
            )
        self.branch.predictor.update(self.step, subtract(output, self.step.hidden))


@attrs.define(eq=False)
class Session:
    """A strategy attached to one transformer; made by `attach`. As a context manager it detaches at its end."""

    transformer: nn.Module
    adapter: Adapter
    strategy: Strategy
    predictor: Predictor
    steps: int
    calls_per_step: int = 1
    timesteps: tuple[float, ...] | None = None
    """The timestep of each step, where `reset` was told; for strategies that plan by them."""
    traces: list[Trace] = attrs.field(factory=list, init=False)
    """All finished runs, oldest first."""
    _last_position: int = attrs.field(init=False)
    _interception: Interception | None = attrs.field(init=False)
    _plans: list[str | None] = attrs.field(init=False)
    """Of each branch; None where its strategy decides step by step."""
    _predictors: list[Predictor] = attrs.field(init=False)
    """Of each branch, the predictor as the strategy fits it to this schedule."""
    _branches: list[Branch] = attrs.field(factory=list, init=False)
    _latest: Trace = attrs.field(factory=lambda: Trace(""), init=False)
    _calls: int = attrs.field(default=0, init=False)
    """Calls of this run that have gone through the body."""
    _body: Body | None = attrs.field(default=None, init=False)
    _in_forward: bool = attrs.field(default=False, init=False)
    _timestep: torch.Tensor | float | None = attrs.field(default=None, init=False)
    _first_timestep: float | None = attrs.field(default=None, init=False)
    _last_timestep: float | None = attrs.field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self._prepare(self.steps, self.timesteps)
        blocks = self.adapter.blocks(self.transformer)
        self._last_position = len(blocks) - 1
        self._interception = Interception.install(self.transformer, blocks, self)

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
        return trace_of([branch.decisions for branch in self._branches]) if self._branches else self._latest

    @property
    def held_bytes(self) -> int:
        """Bytes of the tensors that strategy and predictor hold at this moment."""
        return held_bytes([(branch.strategy, branch.predictor) for branch in self._branches])

    def detach(self) -> None:
        """Put the transformer back as it was and let go of everything kept; a second call does nothing."""
        if self._interception is not None:
            self._interception.remove()
            self._interception = None
        self._forget_run()

    def reset(self, *, steps: int | None = None, timesteps: tuple[float, ...] | None = None) -> None:
        """Begin a new run at the next call, whatever was in progress; from now on with these steps and timesteps.

        `timesteps`, one a step, serve strategies that plan by them; other `steps` drop the ones given before.
        Raises CachekitError where the strategy has no plan for them.
        """
        count = self.steps if steps is None else check_count("steps", steps)
        if timesteps is None:
            timesteps = self.timesteps if count == self.steps else None
        elif len(timesteps) != count:
            raise CachekitError(f"{len(timesteps)} timesteps were given for {count} steps; give one a step")
        self._prepare(count, timesteps)
        self._forget_run()

    def begin_forward(self, signature: inspect.Signature, args: Arguments, kwargs: KeywordArguments) -> None:
        """The transformer is called: after a call that never returned, or at the schedule's start, a run begins."""
        if self._in_forward:
            self._forget_run()
        self._timestep = self.adapter.timestep(signature, args, kwargs)
        if self._calls % self.calls_per_step == 0:
            self._note_timestep(readable(self._timestep))
        self._in_forward = True

    def end_forward(self) -> None:
        """The transformer returns."""
        self._in_forward = False
        if self._body is not None:
            self._forget_run()
            raise CachekitError(
                f"the last block that {type(self.adapter).__name__} names did not run, so it does not fit this "
                "transformer; name another with `adapter=`"
            )

    def run_block(self, position: int, forward: Forward, args: Arguments, kwargs: KeywordArguments) -> object:
        """A block is called: run it, or on a skipped step stand in for it."""
        try:
            if position == 0:
                self._body = self._begin_body(args, kwargs)
            if self._body is None or not self._body.skipped:
                returned = forward(*args, **kwargs)
            elif position == 0:
                residual = self._body.branch.predictor.predict(self._body.step)
                returned = self.adapter.hand_on(args, kwargs, add(self._body.step.hidden, residual))
            else:
                returned = self.adapter.pass_through(position, args, kwargs)
            if position == self._last_position and self._body is not None:
                self._end_body(self._body, returned)
        except BaseException:
            self._forget_run()
            raise
        return returned

    def _begin_body(self, args: Arguments, kwargs: KeywordArguments) -> Body:
        if self._calls == 0:
            self._branches = [self._fresh_branch(number) for number in range(self.calls_per_step)]
        index, number = divmod(self._calls, self.calls_per_step)
        hidden = self.adapter.hidden(args, kwargs)
        if self.adapter.clone_hidden:
            hidden = clone(hidden)
        branch = self._branches[number]
        if branch.kept_layout not in (None, layout(hidden)):
            branch = self._branches[number] = self._fresh_branch(number, branch.decisions)

        def probe(name: str) -> torch.Tensor:
            return self.adapter.probe(name, self.transformer, hidden, args, kwargs)

        step = Step(index, self.steps, number, hidden, self._timestep, probe)
        return Body(branch, step, not branch.decide(step), versions(hidden))

    def _end_body(self, body: Body, returned: object) -> None:
        self._body = None
        if not body.skipped:
            if body.branch.needs_residual(body.step.index):
                body.write(self.adapter.body_output(returned, body.step.hidden))
            body.branch.kept_layout = layout(body.step.hidden)
        self._calls += 1
        if self._calls == self.steps * self.calls_per_step:
            self.traces.append(self.trace)
            self._forget_run(in_forward=self._in_forward)

    def _prepare(self, steps: int, timesteps: tuple[float, ...] | None) -> None:
        """Settle all that depends on the schedule alone; where the strategy refuses it, everything stays as it was."""
        timesteps = None if timesteps is None else tuple(timesteps)
        runs = [Run(steps, self.predictor, timesteps, branch) for branch in range(self.calls_per_step)]
        plans = [checked_plan(self.strategy, run) for run in runs]
        predictors = [checked_predictor(self.strategy, run) for run in runs]
        self.steps, self.timesteps, self._plans, self._predictors = steps, timesteps, plans, predictors

    def _fresh_branch(self, number: int, decisions: str = "") -> Branch:
        strategy, predictor = copy.deepcopy(self.strategy), copy.deepcopy(self._predictors[number])
        return Branch(strategy, predictor, self._plans[number], decisions)

    def _note_timestep(self, value: float | None) -> None:
        first, last = self._first_timestep, self._last_timestep
        if value is not None and first is not None and last is not None:
            nearness = SAME_TIMESTEP * abs(first)
            if abs(value - first) <= nearness < abs(last - first):
                self._forget_run()
        if self._calls == 0:
            self._first_timestep = value
        self._last_timestep = value

    def _forget_run(self, *, in_forward: bool = False) -> None:
        self._latest = self.trace
        self._branches, self._calls, self._body = [], 0, None
        self._first_timestep = self._last_timestep = None
        self._in_forward = in_forward


def check_count(name: str, value: int) -> int:
    """`value`, refused where it is no whole number of at least 1."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise CachekitError(f"{name} must be a whole number of at least 1, not {value!r}")
    return value


def readable(timestep: torch.Tensor | float | None) -> float | None:
    """The timestep's value where looking costs no wait: a number, or a plain tensor in the CPU's memory."""
    if timestep is None or isinstance(timestep, (int, float)):
        return timestep
    import torch

    if type(timestep) is not torch.Tensor or timestep.device.type != "cpu" or timestep.numel() == 0:
        return None
    return float(timestep.detach().flatten()[:1].double().numpy()[0])


def versions(hidden: Residual) -> tuple[int, ...]:
    """How often each stream has been written to; 0 in inference mode, where torch does not count."""
    return tuple(0 if stream.is_inference() else stream._version for stream in streams(hidden))
