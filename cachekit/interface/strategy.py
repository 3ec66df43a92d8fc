"""The interface of strategies: when to compute the body, and when to skip it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

import attrs

from cachekit.errors import CachekitError
from cachekit.interface.predictor import Predictor

if TYPE_CHECKING:
    from cachekit.interface.calibrator import Calibrator
    from cachekit.interface.conditions import Conditions
    from cachekit.interface.corrector import Corrector
    from cachekit.interface.residuals import Residual
    from cachekit.interface.step import Step

COMPUTED, SKIPPED = "X", "."
UNCACHED = "none"
"""Name of the strategy that computes every step, whose runs are the bare model's."""


@attrs.frozen
class Run:
    """What is known of a run before it starts: all that a plan may depend on."""

    steps: int
    predictor: Predictor
    """The predictor asked for."""
    timesteps: tuple[float, ...] | None = None
    """The timestep of each step, where the caller gave them to `Session.reset`."""
    branch: int = 0
    """Which of the pipeline's guidance calls this plan is for."""
    euler: bool = False
    """Whether the sampler is known to add to the latents each step's output times the distance of its timestep to the
    next, Euler's way along a flow, and nothing else; then an output may make good what those before it got wrong."""


@attrs.frozen
class Outlook:
    """What a planning strategy foresees beyond its one plan: a table with a title, for people and as JSON."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[int | float | str, ...], ...]
    """A value for each column."""


@attrs.define(slots=False)
class Strategy:
    """Decides, step by step or all at once, whether to compute the body or to skip it.

    A strategy is an attrs class; its public fields are its parameters. Each branch of each run gets a fresh copy, so
    whatever a method stores on `self` never needs a reset.
    """

    predictor: ClassVar[str] = "reuse"
    """The predictor it runs with unless the caller names one."""
    probes: ClassVar[tuple[str, ...]] = ()
    """The probes it asks for, so that an adapter without them is refused at `attach`."""
    head: ClassVar[int] = 0
    """How many of the first blocks run on every step; `should_compute` is asked after them. May be a parameter."""
    tail: ClassVar[int] = 0
    """How many of the last blocks run on every step. May be a parameter."""
    inner: ClassVar[int | None] = None
    """Position of a block of the span whose own residual `observe` gets as `step.inner`. May be a parameter."""
    scope: ClassVar[str] = "body"
    """What is skipped: the `body`'s blocks, or the transformer's whole `forward`, its latents in and its output out."""
    branches: ClassVar[str] = "own"
    """Whether each guidance branch decides on its `own`, or the `first` called in a step decides for all."""

    measured_steps: ClassVar[int | None] = None
    """Steps of the runs on which its profile was measured; None where no profile filled a field."""

    def plan(self, run: Run) -> str | None:
        """All decisions ahead of time, `X` or `.` a step, where they depend on `run` alone; else None."""
        return None

    def fit_predictor(self, run: Run) -> Predictor:
        """The predictor of this run: the one asked for, or that one with what it leaves open set from a measurement.

        Runs go with what this returns; a plan that depends on the predictor asks for it too.
        """
        return run.predictor

    def corrector(self, run: Run) -> Corrector | None:
        """What changes the transformer's output on computed steps of this run, where something does."""
        return None

    def outlook(self, run: Run) -> Outlook | None:
        """What `cachekit plan` shows below the plan, such as the error that each choice is expected to cost."""
        return None

    def should_compute(self, step: Step) -> bool:
        """One decision, asked at every step where there is no plan; at the first step the answer is not used."""
        raise NotImplementedError(f"{type(self).__name__} has neither a plan nor should_compute")

    def observe(self, step: Step, residual: Residual) -> None:
        """See the residual of a computed step, of the shape of `step.hidden`, after the predictor has."""

    def calibrator(self, conditions: Conditions) -> Calibrator | None:
        """What measures this strategy's profile on uncached runs; None where there is nothing to measure."""
        return None


def checked_plan(strategy: Strategy, run: Run) -> str | None:
    """The strategy's plan with its first step computed; refused where it is no pattern of this run."""
    plan: object = strategy.plan(run)
    if plan is None:
        return None
    if not isinstance(plan, str) or len(plan) != run.steps or set(plan) - {COMPUTED, SKIPPED}:
        raise CachekitError(
            f"the plan of {type(strategy).__name__} must be {run.steps} characters of 'X' and '.', one a step, "
            f"but is {plan!r}" + (f" ({len(plan)})" if isinstance(plan, str) else "")
        )
    return COMPUTED + plan[1:]


def checked_predictor(strategy: Strategy, run: Run) -> Predictor:
    """The predictor that the strategy fits to this run; refused where it is none."""
    predictor = strategy.fit_predictor(run)
    if not isinstance(predictor, Predictor):
        raise CachekitError(f"fit_predictor of {type(strategy).__name__} must return a Predictor, not {predictor!r}")
    return predictor


def measured(help: str) -> dict[str, object]:
    """Metadata of a field that a profile fills, such as MagCache's ratios: `attach` refuses to go without it."""
    return {"help": help, "measured": True}


def missing_measurements(strategy: Strategy) -> Sequence[str]:
    """Names of the measured fields that neither a profile nor the caller has filled."""
    fields = attrs.fields(type(strategy))
    return [f.name for f in fields if f.metadata.get("measured") and getattr(strategy, f.name) is None]
