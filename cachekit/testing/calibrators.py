"""What the interface asks of a calibrator, checked on uncached runs of a small transformer."""

from __future__ import annotations

import json
from typing import Any

import attrs

from cachekit.attaching.attach import attach
from cachekit.interface.calibrator import Calibrator
from cachekit.interface.conditions import Conditions
from cachekit.interface.residuals import Residual
from cachekit.interface.step import Step
from cachekit.interface.strategy import Strategy
from cachekit.testing.model import SmallAdapter, SmallTransformer, denoise, timesteps


@attrs.define
class Watching(Strategy):
    """Computes every step and shows each to a calibrator."""

    watcher: Calibrator
    head: int = 0  # type: ignore[misc]
    scope: str = "body"  # type: ignore[misc]

    def should_compute(self, step: Step) -> bool:
        return True

    def observe(self, step: Step, residual: Residual) -> None:
        self.watcher.observe(step, residual)

    def __deepcopy__(self, memo: dict[int, object]) -> Watching:
        return self


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
        watching = Watching(made, strategy.head, strategy.scope)
        with attach(transformer, watching, steps=steps, adapter=SmallAdapter()):
            for seed in seeds:
                denoise(transformer, steps, seed=seed)
        return made

    whole, parts = watched(range(2)), [watched(range(1)), watched(range(1, 2))]
    merged = calibrator()
    for part in parts:
        merged.absorb(json.loads(json.dumps(part.evidence())))
    values: dict[str, Any] = json.loads(json.dumps(whole.values()))
    theirs = json.loads(json.dumps(merged.values()))
    assert alike(values, theirs), (
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
