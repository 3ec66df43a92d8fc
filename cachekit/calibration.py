"""Calibration: measuring a strategy's profile on uncached runs of one model.

The third part of the interface, beside strategy and predictor. A strategy whose parameters must be measured returns a
`Calibrator` from `Strategy.calibrator`; it sees every step of uncached runs and says what goes into the profile.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import attrs

from cachekit.attaching import resolve_adapter
from cachekit.conditions import Conditions as Conditions
from cachekit.errors import CachekitError
from cachekit.parameters import build
from cachekit.plugins import get_plugins
from cachekit.predictors import Predictor
from cachekit.profiles import Profile, ProfiledModel
from cachekit.session import Session
from cachekit.strategy import Step, Strategy

if TYPE_CHECKING:
    from cachekit.generation import Request
    from cachekit.model import Model, Pipeline
    from cachekit.residuals import Residual


class Calibrator(ABC):
    """Watches uncached runs and measures a profile. It streams: it keeps no more than the step before, or a sketch.

    Evidence is what it saw as JSON, in a form that adds up: the profile of two shards merged is that of one
    calibration which saw the runs of both.
    """

    @abstractmethod
    def observe(self, step: Step, residual: Residual) -> None:
        """See one step of one branch, and what the body added to its hidden states; index 0 begins a run."""

    @abstractmethod
    def evidence(self) -> dict[str, Any]:
        """All that was seen, as JSON."""

    @abstractmethod
    def absorb(self, evidence: Mapping[str, Any]) -> None:
        """Add what another calibrator of the same conditions saw."""

    @abstractmethod
    def values(self) -> dict[str, Any]:
        """The strategy's measured fields; CachekitError where too little was seen."""

    def figures(self) -> dict[str, Any]:
        """How good the measurement is, for the profile's reader."""
        return {}

    def warnings(self) -> list[str]:
        """What the user should know before relying on it, a sentence each."""
        return []


@attrs.define
class ComputeAlways(Strategy):
    """Computes every step and keeps every residual: how uncached runs are watched."""

    def should_compute(self, step: Step) -> bool:
        return True


@attrs.define
class Observer(Predictor):
    """Hands every residual to a calibrator, one and the same in all branches and runs."""

    calibrator: Calibrator

    def update(self, step: Step, residual: Residual) -> None:
        self.calibrator.observe(step, residual)

    def __deepcopy__(self, memo: dict[int, object]) -> Observer:
        return self


def conditions_of(pipeline: Pipeline, *, steps: int, guidance_scale: float) -> Conditions:
    """The conditions of this pipeline's runs."""
    return Conditions(
        steps=steps,
        timesteps=pipeline.timesteps(steps),
        calls_per_step=pipeline.calls_per_step,
        guidance_scale=guidance_scale,
        guidance_in_batch=pipeline.guidance_in_batch,
    )


def calibrator_for(name: str, conditions: Conditions) -> Calibrator:
    """The calibrator of the named strategy, at its default parameters; CachekitError where it has none."""
    kind = calibrated_strategy(name)
    calibrator = build(kind, name, {}).calibrator(conditions)
    if not isinstance(calibrator, Calibrator):
        raise CachekitError(f"the strategy {name!r} has nothing to calibrate; use it as it is")
    return calibrator


def calibrated_strategy(name: str) -> type[Strategy]:
    """The named strategy's class; CachekitError where it is unknown or says nothing about calibration."""
    kind: type[Strategy] = get_plugins().strategies[name].value
    if kind.calibrator is Strategy.calibrator:
        raise CachekitError(f"the strategy {name!r} has nothing to calibrate; use it as it is")
    return kind


def watch(
    pipeline: Pipeline,
    calibrator: Calibrator,
    requests: Sequence[Request],
    conditions: Conditions,
    *,
    on_step: Callable[[int, int], None] | None = None,
) -> None:
    """Run the requests uncached, without decoding, while the calibrator watches; `on_step(run, steps done)`."""
    adapter = resolve_adapter(pipeline.transformer, None, get_plugins())
    observer = Observer(calibrator)
    with Session(
        pipeline.transformer, adapter, ComputeAlways(), observer, conditions.steps, conditions.calls_per_step
    ) as session:
        for number, request in enumerate(requests):
            session.reset()

            def told(done: int, number: int = number) -> None:
                if on_step is not None:
                    on_step(number, done)

            pipeline.denoise(
                pipeline.encode_text(request.prompt),
                seed=request.seed,
                steps=conditions.steps,
                guidance_scale=conditions.guidance_scale,
                on_step=told,
            )


def profile_of(
    calibrator: Calibrator, name: str, model: Model, model_name: str, conditions: Conditions, made: Mapping[str, Any]
) -> Profile:
    """The profile of what the calibrator has seen; `made` says by which command, on which prompts."""
    return Profile(
        strategy=name,
        model=ProfiledModel(model.transformer_class, model.architecture(), name=model_name),
        values=calibrator.values(),
        steps=conditions.steps,
        guidance_scale=conditions.guidance_scale,
        sampler=model.sampler,
        conditions=conditions,
        made={**made, **calibrator.figures()},
        evidence=calibrator.evidence(),
    )
