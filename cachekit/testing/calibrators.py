"""What the interface asks of a calibrator, checked on uncached runs of a small transformer."""

from __future__ import annotations

import json
from typing import Any

import attrs
import torch

from cachekit.attaching.attach import attach
from cachekit.interface.calibrator import Calibrator, Replay
from cachekit.interface.conditions import Conditions
from cachekit.interface.predictor import Predictor
from cachekit.interface.residuals import Residual
from cachekit.interface.step import Step
from cachekit.interface.strategy import Run, Strategy
from cachekit.testing.model import SmallAdapter, SmallTransformer, denoise, timesteps


@attrs.define
class Watching(Strategy):
    """Computes every step and shows each to a calibrator."""

    watcher: Calibrator
    scope: str = "body"  # type: ignore[misc]

    def should_compute(self, step: Step) -> bool:
        return True

    def observe(self, step: Step, residual: Residual) -> None:
        self.watcher.observe(step, residual)

    def __deepcopy__(self, memo: dict[int, object]) -> Watching:
        return self


@attrs.define(eq=False)
class SmallReplay(Replay):
    """A request of the small transformer, run again."""

    latents: torch.Tensor
    transformer: SmallTransformer
    steps: int
    seed: int

    def cached(self, pattern: str, predictor: str | Predictor = "reuse") -> torch.Tensor:
        with attach(self.transformer, Marked(pattern), steps=self.steps, predictor=predictor, adapter=SmallAdapter()):
            return denoise(self.transformer, self.steps, seed=self.seed)

    def given(self, index: int) -> tuple[torch.Tensor, float]:
        return denoise(self.transformer, self.steps, seed=self.seed, upto=index), timesteps(self.steps)[index]

    def output(self, index: int, *, latents: torch.Tensor | None = None, timestep: float | None = None) -> torch.Tensor:
        x, t = self.given(index)
        x = x if latents is None else latents
        with torch.no_grad():
            output: torch.Tensor = self.transformer(x, torch.full((len(x),), t if timestep is None else timestep))
        return output


@attrs.define
class Marked(Strategy):
    """Computes the steps of a pattern."""

    pattern: str = "X"

    def plan(self, run: Run) -> str:
        return self.pattern


def check_calibrator(strategy: Strategy, transformer: SmallTransformer, steps: int) -> dict[str, Any]:
    """The fields that the strategy's calibrator measures, once its evidence was found to add up."""
    name = type(strategy).__name__
    conditions = Conditions(steps, timesteps(steps), 1, 1.0, False)

    def calibrator() -> Calibrator:
        made = strategy.calibrator(conditions)
        assert made is not None, f"{name} has measured fields but no calibrator, so nobody can measure them"
        return made

    def watched(seeds: range) -> Calibrator:
        made = calibrator()
        for seed in seeds:
            with attach(transformer, Watching(made, made.scope), steps=steps, adapter=SmallAdapter()):
                latents = denoise(transformer, steps, seed=seed)
            made.replay(SmallReplay(latents, transformer, steps, seed))
        return made

    whole, parts = watched(range(2)), [watched(range(1)), watched(range(1, 2))]
    merged = calibrator()
    for part in parts:
        merged.absorb(json.loads(json.dumps(part.evidence())))
    values: dict[str, Any] = json.loads(json.dumps(whole.values()))
    theirs = json.loads(json.dumps(merged.values()))
    assert alike(values, theirs) or not whole.adds_up, (
        f"two shards of {name}'s calibration do not add up to the calibration that saw both: evidence must be sums"
    )
    return values


def alike(one: Any, other: Any) -> bool:
    """Whether two JSON values are the same but for rounding."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(alike(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(alike(a, b) for a, b in zip(one, other, strict=True))
    if isinstance(one, float) or isinstance(other, float):
        return bool(abs(one - other) <= 1e-6 * max(1.0, abs(one), abs(other)))
    return bool(one == other)
