"""Measuring a strategy's profile on uncached runs of one model."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import attrs

from cachekit.attaching.attach import resolve_adapter
from cachekit.attaching.session import Session
from cachekit.calibration.replaying import PipelineReplay, recorded
from cachekit.errors import CachekitError
from cachekit.interface.calibrator import Calibrator
from cachekit.interface.conditions import Conditions
from cachekit.interface.guard import asking
from cachekit.interface.predictor import Predictor
from cachekit.interface.step import Step
from cachekit.interface.strategy import Strategy
from cachekit.profiles.profile import Profile, ProfiledModel
from cachekit.registry.parameters import build
from cachekit.registry.plugins import get_plugins

if TYPE_CHECKING:
    from cachekit.generation.generate import Request
    from cachekit.interface.model import Pipeline
    from cachekit.interface.residuals import Residual

Told = Callable[[int], None]


class Listener(Protocol):
    """Who is told of every step: a calibrator."""

    def observe(self, step: Step, residual: Residual) -> None: ...


@attrs.define
class Watching(Strategy):
    """Computes every step and hands its residual to a calibrator, one and the same in all branches and runs."""

    listener: Listener
    scope: str = "body"  # type: ignore[misc]

    def should_compute(self, step: Step) -> bool:
        return True

    def observe(self, step: Step, residual: Residual) -> None:
        self.listener.observe(step, residual)

    def __deepcopy__(self, memo: dict[int, object]) -> Watching:
        return self


@attrs.define
class KeepNothing(Predictor):
    """What stands in where nothing is ever predicted."""

    def update(self, step: Step, residual: Residual) -> None:
        return None


def conditions_of(pipeline: Pipeline, *, steps: int, guidance_scale: float) -> Conditions:
    """The conditions of this pipeline's runs."""
    return pipeline.conditions(steps=steps, guidance_scale=guidance_scale)


def calibrator_for(name: str, conditions: Conditions) -> Calibrator:
    """The calibrator of the named strategy, at its default parameters; CachekitError where it has none."""
    kind = calibrated_strategy(name)
    with asking(kind, "calibrator"):
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
    replays = type(calibrator).replay is not Calibrator.replay
    for number, request in enumerate(requests):

        def told(done: int, number: int = number) -> None:
            if on_step is not None:
                on_step(number, done)

        denoise = partial(
            pipeline.denoise,
            pipeline.encode_text(request.prompt),
            seed=request.seed,
            steps=conditions.steps,
            guidance_scale=conditions.guidance_scale,
        )
        with (
            watching_session(pipeline, calibrator, conditions),
            recorded(pipeline.transformer, wanted=replays) as calls,
        ):
            latents = denoise(on_step=told)
        if replays:
            calibrator.replay(PipelineReplay(pipeline, adapter, conditions, denoise, latents, calls))


def evidence_of(pipeline: Pipeline, strategy: str, request: Request, conditions: Conditions, told: Told) -> Any:
    """What the strategy's calibrator sees of one run, as JSON; `told` hears of each step done."""
    calibrator = calibrator_for(strategy, conditions)
    watch(pipeline, calibrator, [request], conditions, on_step=lambda _, done: told(done))
    with asking(calibrator, "evidence"):
        return json.loads(json.dumps(calibrator.evidence()))


def calibrator_of(strategy: str, conditions: Conditions, evidence: Iterable[Mapping[str, Any]]) -> Calibrator:
    """The calibrator that has seen all of these runs, in their order: so its last digits depend on nothing else."""
    calibrator = calibrator_for(strategy, conditions)
    for seen in evidence:
        calibrator.absorb(seen)
    return calibrator


def watching_session(pipeline: Pipeline, calibrator: Calibrator, conditions: Conditions) -> AbstractContextManager[Any]:
    """The calibrator at work on the pipeline: as it attaches by itself, or a session on its transformer."""
    watching = Watching(calibrator, calibrator.scope)
    own = pipeline.attach(watching, KeepNothing())
    if own is not None:
        return own
    return Session(
        pipeline.transformer,
        resolve_adapter(pipeline.transformer, None, get_plugins()),
        watching,
        KeepNothing(),
        conditions.steps,
        conditions.calls_per_step,
        watch=False,
    )


def profile_of(
    calibrator: Calibrator,
    name: str,
    model: ProfiledModel,
    sampler: str,
    conditions: Conditions,
    made: Mapping[str, Any],
) -> Profile:
    """The profile of what the calibrator has seen; `made` says by which command, on which prompts."""
    with asking(calibrator, "values"):
        values, figures, evidence = calibrator.values(), calibrator.figures(), calibrator.evidence()
    return Profile(
        strategy=name,
        model=model,
        values=values,
        steps=conditions.steps,
        guidance_scale=conditions.guidance_scale,
        sampler=sampler,
        conditions=conditions,
        made={**made, **figures},
        evidence=evidence,
    )


def requirements(traits: Mapping[str, object]) -> dict[str, list[object]]:
    """What a model must have for a profile measured on one of these traits: its class, and what splits its steps."""
    return {name: [value] for name, value in traits.items() if name in ("transformer", "boundary_ratio")}
