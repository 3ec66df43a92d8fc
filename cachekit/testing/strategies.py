"""What the interface asks of a strategy, checked on runs of a small transformer."""

from __future__ import annotations

from typing import Any

import attrs
import torch

from cachekit.attaching.attach import attach, resolve_predictor
from cachekit.attaching.session import Session
from cachekit.errors import CachekitError
from cachekit.interface.predictor import Predictor
from cachekit.interface.residuals import held_bytes
from cachekit.interface.strategy import Run, Strategy, missing_measurements
from cachekit.registry.parameters import build, describe_parameters
from cachekit.registry.plugins import get_plugins
from cachekit.testing.calibrators import check_calibrator
from cachekit.testing.model import SHAPE, SmallAdapter, SmallTransformer, ValueReads, denoise, timesteps

STEPS = 12
OTHER_LENGTHS = (1, 2, 5, 30)
LARGER = (2, *SHAPE[1:-1], 2 * SHAPE[-1])
MOST_HELD = 12
"""Tensors of the latents' or the hidden states' size that a strategy may hold at any time."""


def check_strategy(
    strategy: type[Strategy] | Strategy, *, predictor: str | Predictor | None = None, **params: Any
) -> None:
    """Check a strategy's class (with `params`), or one made already, with its own predictor or another.

    Where it has measured fields that are not given, its calibrator measures them, and is checked too. Checked are:
    the interface and its documentation; that runs do not leak into each other, whole or cut short; runs of other
    lengths (a refusal in a sentence is an answer); guidance branches; other shapes; plans, which must be valid, the
    same each time and made without reading a tensor; and that what it holds does not grow with the run.
    """
    kind = strategy if isinstance(strategy, type) else type(strategy)
    check_class(kind, Strategy)
    made = build(kind, kind.__name__, params) if isinstance(strategy, type) else strategy
    made = calibrated(made)
    Checks(made, predictor).all()


def check_class(kind: type, base: type) -> None:
    """An attrs class of the right kind that says what it is and what each of its parameters means."""
    assert issubclass(kind, base), f"{kind.__name__} must be a subclass of cachekit.{base.__name__}"
    assert "__attrs_attrs__" in vars(kind), f"{kind.__name__} must be an attrs class: put @attrs.define above it"
    assert (kind.__doc__ or "").strip(), f"{kind.__name__} needs a docstring, which the listings show"
    for parameter in describe_parameters(kind):
        assert parameter.help, (
            f"{kind.__name__}'s parameter {parameter.name} needs a word on what it means: metadata={{'help': ...}}, "
            "or a docstring under the field"
        )


def calibrated(strategy: Strategy) -> Strategy:
    """The strategy with what it lacks measured on the small model."""
    missing = missing_measurements(strategy)
    if not missing:
        return strategy
    values = check_calibrator(strategy, transformer_for(strategy), STEPS)
    lacking = [name for name in missing if name not in values]
    assert not lacking, f"the calibrator of {type(strategy).__name__} measures no {' and no '.join(lacking)}"
    measured = attrs.evolve(strategy, **values)
    measured.__dict__["measured_steps"] = STEPS
    return measured


def transformer_for(strategy: Strategy) -> SmallTransformer:
    """A small transformer with blocks enough for this strategy's head, tail and inner block."""
    return SmallTransformer(depth=max(4, strategy.head + strategy.tail + 2, (strategy.inner or 0) + strategy.tail + 1))


@attrs.frozen
class Checks:
    """One strategy under test."""

    strategy: Strategy
    predictor: str | Predictor | None

    @property
    def name(self) -> str:
        return type(self.strategy).__name__

    def all(self) -> None:
        with torch.no_grad():
            self.plans()
            self.runs_are_alike()
            self.a_run_cut_short_leaves_nothing()
            self.other_lengths()
            self.branches()
            self.other_shapes()
            self.memory()

    def attached(self, transformer: SmallTransformer, steps: int = STEPS) -> Session:
        session = attach(transformer, self.strategy, steps=steps, predictor=self.predictor, adapter=SmallAdapter())
        session.reset(timesteps=timesteps(steps))
        return session

    def generate(self, steps: int = STEPS, **options: Any) -> tuple[list[str], torch.Tensor]:
        """The branches' patterns and the latents of a run in a session of its own."""
        transformer = transformer_for(self.strategy)
        with self.attached(transformer, steps) as session:
            latents = denoise(transformer, steps, **options)
        assert len(session.traces) == 1, f"one run with {self.name} made {len(session.traces)} traces"
        return [branch.pattern for branch in session.traces[0].branches], latents

    def plans(self) -> None:
        """A plan is of the run's length, begins computed, is the same each time and reads nothing."""
        predictor = resolve_predictor(self.predictor, self.strategy, get_plugins())
        for run in (Run(STEPS, predictor), Run(STEPS, predictor, timesteps(STEPS))):
            with ValueReads() as reads:
                first, second = self.strategy.plan(run), self.strategy.plan(run)
            if first is None:
                return
            valid = len(first) == STEPS and set(first) <= set("X.") and first[0] == "X"
            assert valid, f"the plan of {self.name} for {STEPS} steps must be X and . and begin with X, not {first!r}"
            assert first == second, f"{self.name} plans {first} and then, for the same run, {second}"
            assert reads.count == 0, f"{self.name} reads {reads.count} values of tensors to plan"

    def runs_are_alike(self) -> None:
        """A second run in a session is as the first."""
        transformer = transformer_for(self.strategy)
        with self.attached(transformer) as session:
            first, second = (denoise(transformer, STEPS) for _ in range(2))
        one, other = (trace.pattern for trace in session.traces)
        assert one == other, f"{self.name} decides {one} and, in a second run of the same, {other}: it keeps state"
        assert torch.equal(first, second), f"a second run of the same with {self.name} gives other latents"

    def a_run_cut_short_leaves_nothing(self) -> None:
        """A run after a reset is as one in a fresh session."""
        (pattern,), latents = self.generate()
        transformer = transformer_for(self.strategy)
        with self.attached(transformer) as session:
            denoise(transformer, STEPS, seed=7, upto=STEPS // 2)
            session.reset(timesteps=timesteps(STEPS))
            after = denoise(transformer, STEPS)
        found = session.traces[-1].pattern
        assert found == pattern, f"after a run cut short {self.name} decides {found}, and in a fresh one {pattern}"
        assert torch.equal(after, latents), f"after a run cut short {self.name} gives other latents than in a fresh one"

    def other_lengths(self) -> None:
        """Runs of other lengths work, or are refused in a sentence."""
        for steps in OTHER_LENGTHS:
            try:
                (pattern,), latents = self.generate(steps)
            except CachekitError:
                continue
            assert len(pattern) == steps, f"{self.name} made {len(pattern)} decisions in a run of {steps} steps"
            assert pattern[0] == "X", f"{self.name} skipped the first of {steps} steps"
            assert latents.isfinite().all(), f"{self.name} gives latents that are not finite in {steps} steps"

    def branches(self) -> None:
        """With guidance as separate calls, the first branch decides as one alone on the same latents would."""
        patterns, latents = self.generate(guided=True)
        assert len(patterns) == 2, f"two calls a step gave {len(patterns)} branches"
        assert latents.isfinite().all(), f"{self.name} gives latents that are not finite with guidance"
        if self.strategy.branches == "first":
            agree = patterns[0] == patterns[1]
            assert agree, f"the first branch decides for all in {self.name}, but not here: {patterns}"

    def other_shapes(self) -> None:
        """A run of other shapes in the same session is as in one of its own."""
        try:
            expected, latents = self.generate(shape=LARGER)
        except CachekitError:
            return
        transformer = transformer_for(self.strategy)
        with self.attached(transformer) as session:
            denoise(transformer, STEPS)
            after = denoise(transformer, STEPS, shape=LARGER)
        found = session.traces[-1].pattern
        assert found == expected[0], f"after a run of other shapes {self.name} decides {found}, and alone {expected[0]}"
        assert torch.equal(after, latents), f"after a run of other shapes {self.name} gives other latents than alone"

    def memory(self) -> None:
        """What the strategy itself holds stays bounded through a long run."""
        steps = 40
        transformer = transformer_for(self.strategy)
        largest = 0
        try:
            session = self.attached(transformer, steps)
        except CachekitError:
            return
        with session:

            def call(latents: torch.Tensor, timestep: torch.Tensor) -> torch.Tensor:
                nonlocal largest
                velocity: torch.Tensor = transformer(latents, timestep)
                largest = max(largest, held_bytes(session.strategies))
                return velocity

            denoise(call, steps)
        tensor = torch.zeros(SHAPE[2] * SHAPE[3] * SHAPE[4], transformer.final.in_features).nbytes
        assert largest <= MOST_HELD * tensor, (
            f"{self.name} holds {largest / tensor:.0f} tensors of the hidden states' size in a run of {steps} steps; "
            f"keep no more than {MOST_HELD}, or numbers in their place"
        )
