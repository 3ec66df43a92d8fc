"""What is looked at in every model and pipeline of the zoo, and how it is measured."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import attrs
import torch
from torch import nn

import cachekit
from cachekit.diffusers.structure import body_of
from zoo.parts import SmallModel, sample_of
from zoo.pipes import SmallPipeline

LEVELS = (1.0, 0.8, 0.6, 0.4, 0.2)
"""Noise levels of the steps that a model is taken through."""
RATIOS = [0.97] * 59
"""Stand-ins for MagCache's measured ratios; a strategy must skip with them, no more."""


@attrs.define
class Watching(cachekit.Strategy):
    """Computes every step, and wants each residual."""

    def should_compute(self, step: cachekit.Step) -> bool:
        return True

    def observe(self, step: cachekit.Step, residual: cachekit.Residual) -> None:
        """Wants the last step's residual too."""


@attrs.define
class SkipAllButFirst(cachekit.Strategy):
    """Plans to skip whatever can be skipped."""

    def plan(self, run: cachekit.Run) -> str:
        return "X" + "." * (run.steps - 1)


@attrs.define
class Recording(cachekit.Predictor):
    """Keeps every residual, by its place in the run."""

    true: dict[tuple[int, int], cachekit.Residual] = attrs.field(factory=dict)

    def update(self, step: cachekit.Step, residual: cachekit.Residual) -> None:
        self.true[step.index, step.branch] = residual

    def __deepcopy__(self, memo: dict[int, object]) -> Recording:
        return self


@attrs.define
class Oracle(Recording):
    """Predicts the residual that was recorded: what a skipped step would have computed, so nothing may change."""

    off: float = 1.0
    """1, or a factor that makes it wrong."""

    def update(self, step: cachekit.Step, residual: cachekit.Residual) -> None:
        """It knows already."""

    def predict(self, step: cachekit.Step) -> cachekit.Residual:
        true = self.true[step.index, step.branch]
        return tuple(one * self.off for one in true) if isinstance(true, tuple) else true * self.off


@attrs.frozen
class Seen:
    """What was seen of one model or pipeline."""

    watched: bool
    """Every step computed: bit-equal to the bare one."""
    oracle: float
    """Every later step skipped with its true residual: largest relative difference from the bare one."""
    wrong: float
    """The same with half the true residual: that the oracle could have failed."""
    patterns: dict[str, str]
    """Of each strategy tried, the pattern."""
    as_planned: bool
    """The blocks ran as often as the patterns say."""
    clean: bool
    """The same run again gives the same."""
    detached: bool
    """Afterwards bit-equal to the bare one, no attribute left."""


def distance(made: tuple[torch.Tensor, ...], bare: tuple[torch.Tensor, ...]) -> float:
    """The largest relative difference (L2) among tensors."""
    return max(((a - b).norm() / b.norm().clip(1e-12)).item() for a, b in zip(made, bare, strict=True))


def equal(made: tuple[torch.Tensor, ...], bare: tuple[torch.Tensor, ...]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(made, bare, strict=True))


@contextmanager
def counted_blocks(transformers: list[nn.Module]) -> Iterator[Counter[int]]:
    """How often each body block of these transformers really runs."""
    ran: Counter[int] = Counter()
    handles = [
        block.register_forward_pre_hook(lambda block, given: ran.update([id(block)]))
        for transformer in transformers
        for block in body_of(transformer).blocks
    ]
    yield ran
    for handle in handles:
        handle.remove()


def attributes(modules: list[Any]) -> list[set[str]]:
    return [set(vars(module)) for module in modules]


def look_at_model(entry: SmallModel) -> Seen:
    """Take a small model through `LEVELS`: bare, watched, with the oracle and with two strategies."""
    model = entry.make()

    def steps(levels: tuple[float, ...] = LEVELS) -> tuple[torch.Tensor, ...]:
        return tuple(tensor for level in levels for tensor in sample_of(model(**entry.arguments(level))))

    count = len(LEVELS)
    bare, before, record = steps(), attributes([model]), Recording()
    with cachekit.attach(model, Watching(), steps=count, predictor=record):
        watched = equal(steps(), bare)
    errors = {}
    for off in (1.0, 0.5):
        with cachekit.attach(model, SkipAllButFirst(), steps=count, predictor=Oracle(record.true, off)) as session:
            errors[off] = distance(steps(), bare)
            assert session.trace.pattern == "X...."
    patterns, as_planned, clean = {}, True, True
    with counted_blocks([model]) as ran:
        for name, settings in {"uniform": {"computed": 2}, "magcache": {"thresh": 0.5, "ratios": RATIOS[:4]}}.items():
            ran.clear()
            with cachekit.attach(model, name, steps=count, **settings) as session:
                first = steps()
                patterns[name] = session.trace.pattern
                computed = session.trace.computed
                as_planned &= len(ran) == len(body_of(model).blocks) and set(ran.values()) == {computed}
                clean &= equal(steps(), first)
                session.reset(steps=2, timesteps=None)
                steps(LEVELS[:2])
                as_planned &= len(session.trace.pattern) == 2
    detached = equal(steps(), bare) and attributes([model]) == before
    return Seen(watched, errors[1.0], errors[0.5], patterns, as_planned, clean, detached)


def look_at_pipeline(entry: SmallPipeline, steps: int = 6) -> Seen:
    """Run a small pipeline bare, watched, with the oracle and with two strategies; guided and not, at another size."""
    pipe = entry.make()
    transformers = [getattr(pipe, name) for name in entry.transformers]
    runs: dict[str, Callable[[], torch.Tensor]] = {
        "guided": lambda: entry.run(pipe, steps=steps),
        "unguided": lambda: entry.run(pipe, steps=steps, guided=False),
        "larger, fewer steps": lambda: entry.run(pipe, steps=steps - 2, size=2),
    }
    bare = {name: (run(),) for name, run in runs.items()}
    before = attributes([pipe, *transformers])
    record, watched = Recording(), True
    with cachekit.enable(pipe, Watching(), predictor=record):
        for name, run in reversed(runs.items()):
            watched &= equal((run(),), bare[name])
    errors = {}
    for off in (1.0, 0.5):
        with cachekit.enable(pipe, SkipAllButFirst(), predictor=Oracle(record.true, off)):
            errors[off] = distance((runs["guided"](),), bare["guided"])
    patterns, as_planned, clean = {}, True, True
    with counted_blocks(transformers) as ran:
        for name, settings in {"uniform": {"computed": 2}, "magcache": {"thresh": 0.5, "ratios": RATIOS}}.items():
            with cachekit.enable(pipe, name, **settings) as enabled:
                ran.clear()
                first = runs["guided"]()
                patterns[name] = enabled.trace.pattern
                as_planned &= calls_of(enabled) == sum(ran[id(body_of(t).blocks[-1])] for t in transformers)
                as_planned &= len(patterns[name]) == entry.evaluations(steps)
                if name == "uniform":
                    runs["unguided"]()
                    as_planned &= len(enabled.trace.pattern) == entry.evaluations(steps)
                    runs["larger, fewer steps"]()
                    as_planned &= len(enabled.trace.pattern) == entry.evaluations(steps - 2)
                    clean &= torch.equal(runs["guided"](), first)
                    clean &= enabled.held_bytes == 0
    detached = equal((runs["guided"](),), bare["guided"])
    return Seen(
        watched,
        errors[1.0],
        errors[0.5],
        patterns,
        as_planned,
        clean,
        detached and attributes([pipe, *transformers]) == before,
    )


def calls_of(enabled: cachekit.Enabled) -> int:
    """Calls of the transformers in which blocks ran, of all branches together."""
    return sum(branch.computed for branch in enabled.trace.branches)
