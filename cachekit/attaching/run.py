"""The state of one run: its branches, each with its own copies of strategy and predictor, and what they decided."""

from __future__ import annotations

import copy
import weakref
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import attrs

from cachekit.attaching.trace import NOT_CALLED, Trace, trace_of
from cachekit.errors import CachekitError
from cachekit.interface.predictor import LinearPredictor, Predictor
from cachekit.interface.residuals import layout
from cachekit.interface.strategy import COMPUTED, SKIPPED, Run, Strategy, checked_plan, checked_predictor

if TYPE_CHECKING:
    import torch

    from cachekit.interface.corrector import Corrector
    from cachekit.interface.residuals import Layout, Residual
    from cachekit.interface.step import Step


@attrs.define
class Branch:
    """One branch of one run."""

    strategy: Strategy
    predictor: Predictor
    plan: str | None
    corrector: Corrector | None = None
    decisions: str = ""
    kept: Layout | None = None
    """Layout of the span's input at the last computed step; None where no residual of it is held."""
    residual_layout: Layout | None = None
    """Layout of its residual, which a prediction must have."""
    given: tuple[torch.dtype, ...] | None = None
    """Types of that input, stream by stream."""
    dtypes: tuple[torch.dtype, ...] | None = None
    """Of the span's output."""
    template: Any = None
    """What the transformer returned, without its tensor, where its whole call is the span."""
    ahead: bool = attrs.field(init=False)
    """Whether its predictor needs nothing of a step but its position."""
    observes: bool = attrs.field(init=False)
    """Whether its strategy looks at residuals."""
    _last_skip: int | None = attrs.field(init=False)
    """The last step that the plan skips, -1 where it skips none; None without a plan."""
    _reach: int | None = attrs.field(init=False)
    """How many computed residuals back a prediction looks, where plan and predictor say so."""
    _newest: weakref.ref[torch.Tensor] | None = attrs.field(default=None, init=False)
    """The latest computed residual, which as a prediction needs no check; held by the predictor, if at all."""

    def __attrs_post_init__(self) -> None:
        self.ahead = predicts_ahead(self.predictor)
        self.observes = type(self.strategy).observe is not Strategy.observe
        self._last_skip = self.plan.rfind(SKIPPED) if self.plan is not None else None
        self._reach = self._looks_back()

    def record(self, index: int, computed: bool) -> None:
        """Note the decision of step `index`; steps in which the branch was not called are marked so."""
        if len(self.decisions) < index:
            self.decisions = self.decisions.ljust(index, NOT_CALLED)
        self.decisions += COMPUTED if computed else SKIPPED

    def skips_later(self, index: int, steps: int) -> bool:
        """Whether a later step of the run may be predicted."""
        return index < (steps - 1 if self._last_skip is None else self._last_skip)

    def needs_residual(self, index: int, steps: int) -> bool:
        """Whether the strategy looks at this step's residual, or a later step of the run may be predicted from it.

        With a plan it is not where as many steps are computed before the next skipped one as the predictor looks back.
        """
        if self.observes:
            return True
        if self.plan is None or self._reach is None:
            return self.skips_later(index, steps)
        return self.plan.find(SKIPPED, index + 1, index + 1 + self._reach) >= 0

    def _looks_back(self) -> int | None:
        """`_reach`: of a predictor that keeps the latest residuals, for a branch that goes by its own plan."""
        if self.plan is None or self.strategy.branches != "own" or not isinstance(self.predictor, LinearPredictor):
            return None
        keeps_latest = self.ahead and type(self.predictor).update is LinearPredictor.update
        return self.predictor.history if keeps_latest else None

    def keep(
        self,
        step: Step,
        given: Layout,
        residual: Residual,
        output_dtypes: tuple[torch.dtype, ...] | None,
    ) -> None:
        """Let the predictor see a computed step's residual; `given` is the layout of the span's input."""
        self.predictor.update(step, residual)
        self.kept, self.residual_layout, self.dtypes = given, layout(residual), output_dtypes
        self.given = tuple(dtype for _, dtype, _ in given)
        self._newest = weakref.ref(residual) if not isinstance(residual, tuple) else None

    def correct(self, index: int, output: torch.Tensor, *, computed: bool) -> torch.Tensor:
        """What goes to the sampler in place of the transformer's output; refused where it is not like that."""
        assert self.corrector is not None
        if not computed:
            self.corrector.skipped(index, output)
            return output
        corrected: object = self.corrector.computed(index, output)
        found = (getattr(corrected, "shape", None), getattr(corrected, "dtype", None))
        if found != (output.shape, output.dtype):
            raise CachekitError(
                f"the corrector {type(self.corrector).__name__} must return an output like the transformer's, "
                f"{tuple(output.shape)} {output.dtype}, but gave {found[0]} {found[1]}"
            )
        return cast("torch.Tensor", corrected)

    def wants_to_compute(self, step: Step) -> bool:
        """The strategy's decision where it has no plan, checked."""
        wanted: object = self.strategy.should_compute(step)
        if isinstance(wanted, bool):
            return wanted
        if getattr(wanted, "ndim", None) == 0:  # one value, of numpy or torch
            return bool(wanted)
        raise CachekitError(
            f"should_compute of {type(self.strategy).__name__} must return True or False, not {wanted!r}"
        )

    def predict(self, step: Step) -> Residual:
        """The residual to use on a skipped step, refused where it is not like those computed."""
        predicted: object = self.predictor.predict(step)
        if self._newest is not None and predicted is self._newest():
            return cast("Residual", predicted)
        tensors = predicted if isinstance(predicted, tuple) else (predicted,)
        found = tuple(
            (getattr(t, "shape", None), getattr(t, "dtype", None), getattr(t, "device", None)) for t in tensors
        )
        if found != self.residual_layout:
            raise CachekitError(
                f"the predictor {type(self.predictor).__name__} must predict a residual like the computed one, "
                f"{told(self.residual_layout or ())}, but gave {told(found)}"
            )
        return cast("Residual", predicted)


def predicts_ahead(predictor: Predictor) -> bool:
    """Whether it needs nothing of a step but its position, so that it can predict before the transformer runs."""
    if not isinstance(predictor, LinearPredictor) or predictor.of != "residual":
        return False
    return type(predictor).predict is LinearPredictor.predict


def told(streams: tuple[Any, ...]) -> str:
    """The layout of streams in words: `(2, 6, 16) torch.float32 on cpu`."""
    described = [f"{tuple(s)} {d} on {v}" if s is not None else "no tensor" for s, d, v in streams]
    return " and ".join(described) or "nothing"


Settled: TypeAlias = "tuple[str | None, Predictor, Corrector | None]"


@attrs.define
class Schedule:
    """What is settled before a run of so many steps begins: of each branch the plan, and the predictor fitted to it."""

    strategy: Strategy
    predictor: Predictor
    steps: int
    timesteps: tuple[float, ...] | None
    euler: bool = False
    _settled: dict[int, Settled] = attrs.field(factory=dict, init=False)

    def settle(self, number: int) -> Settled:
        """Plan, predictor and corrector of a branch; CachekitError where the strategy has none for such a run."""
        if number not in self._settled:
            run = Run(self.steps, self.predictor, self.timesteps, number, self.euler)
            self._settled[number] = (
                checked_plan(self.strategy, run),
                checked_predictor(self.strategy, run),
                self.strategy.corrector(run),
            )
        return self._settled[number]

    def branch(self, number: int, decisions: str = "") -> Branch:
        """A branch of its own copies, which has kept nothing."""
        plan, predictor, corrector = self.settle(number)
        strategy, predictor, corrector = copy.deepcopy((self.strategy, predictor, corrector))
        return Branch(strategy, predictor, plan, corrector, decisions)


@attrs.define
class RunState:
    """One run in progress."""

    schedule: Schedule
    branches: dict[int, Branch] = attrs.field(factory=dict)
    calls: list[int] = attrs.field(factory=list)
    """Calls made at each step."""

    @property
    def trace(self) -> Trace:
        """What was decided so far."""
        return trace_of([branch.decisions for _, branch in sorted(self.branches.items())])

    @property
    def complete(self) -> bool:
        """Whether the last step has had as many calls as the one before."""
        steps = self.schedule.steps
        return len(self.calls) >= steps and self.calls[steps - 1] >= (self.calls[steps - 2] if steps > 1 else 1)

    def arrive(self, step: int, number: int) -> Branch:
        """Count a call at this step; the branch it belongs to, a fresh one where it is new."""
        if step >= len(self.calls):
            self.calls += [0] * (step + 1 - len(self.calls))
        self.calls[step] += 1
        if number not in self.branches:
            self.branches[number] = self.schedule.branch(number)
        return self.branches[number]

    def renew(self, branch: Branch) -> Branch:
        """Fresh copies in place of the branch, which forget all that was kept but not what was decided."""
        number = next(number for number, known in self.branches.items() if known is branch)
        self.branches[number] = self.schedule.branch(number, branch.decisions)
        return self.branches[number]

    def release(self, branch: Branch) -> None:
        """No later step is predicted: let go of what the predictor keeps, and the strategy unless it observes."""
        fresh = self.renew(branch)
        if branch.observes:
            fresh.strategy = branch.strategy

    def recover(self, steps: int) -> None:
        """So many computed steps before the first belong to this run too."""
        for branch in self.branches.values():
            branch.decisions = COMPUTED * steps + branch.decisions
        self.calls = [1] * steps + self.calls

    def drop(self, branches: int) -> None:
        """The first branches were those of a run cut short; the others move down."""
        self.branches = {number - branches: branch for number, branch in self.branches.items() if number >= branches}
        self.calls[0] -= branches
