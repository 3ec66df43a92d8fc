"""Calibrating on one's own pipeline, from Python: whatever it is run with is measured."""

from __future__ import annotations

import types
from typing import Any

import attrs

from cachekit.calibration.calibrate import (
    KeepNothing,
    Watching,
    calibrated_strategy,
    calibrator_for,
    requirements,
)
from cachekit.diffusers.adapter import DiffusersAdapter
from cachekit.diffusers.enabling import Enabled, enable, pipeline_traits, transformers_of
from cachekit.errors import CachekitError
from cachekit.interface.calibrator import Calibrator
from cachekit.interface.conditions import Conditions
from cachekit.interface.residuals import Residual
from cachekit.interface.step import Step
from cachekit.profiles.profile import Profile, ProfiledModel
from cachekit.registry.parameters import build


@attrs.define(eq=False)
class Calibrating:
    """A strategy's calibrator at work on a pipeline; made by `calibrating`, a context manager."""

    pipe: Any
    name: str
    probes: tuple[str, ...]
    """What the strategy's calibrator asks of a step."""
    _first: list[tuple[Step, Residual]] = attrs.field(factory=list, init=False)
    """The first step's, until it is over and the conditions are known."""
    _conditions: Conditions | None = attrs.field(default=None, init=False)
    _calibrator: Calibrator | None = attrs.field(default=None, init=False)
    _enabled: Enabled | None = attrs.field(default=None, init=False)
    _runs: int = attrs.field(default=0, init=False)

    def __enter__(self) -> Calibrating:
        self._enabled = enable(self.pipe, Watching(self), predictor=KeepNothing())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: types.TracebackType | None,
    ) -> None:
        if self._enabled is not None:
            self._enabled.disable()

    @property
    def runs(self) -> int:
        """Whole runs measured so far."""
        return self._runs

    def observe(self, step: Step, residual: Residual) -> None:
        """See one step of one branch."""
        if self._calibrator is not None:
            self._check(step)
            self._calibrator.observe(step, residual)
        elif step.index == 0:
            read = {name: step.probe(name) for name in self.probes}
            self._first.append((attrs.evolve(step, probe=read.__getitem__), residual))
        else:
            self._settle(step)
            self.observe(step, residual)
        self._runs += step.branch == 0 and step.index == step.total - 1

    def profile(self) -> Profile:
        """What was measured; CachekitError where too little was seen."""
        if self._calibrator is None or self._conditions is None or self._runs == 0:
            raise CachekitError(
                f"nothing was measured for {self.name}: run the pipeline within `with cachekit.calibrating(pipe, "
                f"{self.name!r}) as c:`, with at least two steps"
            )
        transformer, adapter = transformers_of(self.pipe)[0], DiffusersAdapter()
        traits = adapter.traits(transformer) | pipeline_traits(self.pipe)
        return Profile(
            strategy=self.name,
            model=ProfiledModel(
                type(transformer).__name__,
                adapter.architecture(transformer),
                name=str(traits["checkpoint"] or type(self.pipe).__name__),
                requires=requirements(traits),
            ),
            values=self._calibrator.values(),
            steps=self._conditions.steps,
            guidance_scale=self._conditions.guidance_scale,
            sampler=type(self.pipe.scheduler).__name__,
            conditions=self._conditions,
            made={"how": "cachekit.calibrating", "runs": [{"run": i} for i in range(self._runs)]}
            | self._calibrator.figures(),
            evidence=self._calibrator.evidence(),
        )

    def _settle(self, step: Step) -> None:
        """The first step is over: how the runs are made is known."""
        assert self._enabled is not None
        calls = len(self._first)
        scale = float(getattr(self.pipe, "guidance_scale", None) or 1.0)
        guided = bool(getattr(self.pipe, "do_classifier_free_guidance", scale > 1))
        schedule = self._enabled.run.schedule
        self._conditions = Conditions(
            steps=step.total,
            timesteps=tuple(schedule) if schedule is not None else (),
            calls_per_step=calls,
            guidance_scale=scale,
            guidance_in_batch=guided and calls == 1,
        )
        self._calibrator = calibrator_for(self.name, self._conditions)
        for first, residual in self._first:
            self._calibrator.observe(first, residual)
        self._first = []

    def _check(self, step: Step) -> None:
        assert self._conditions is not None
        if step.total != self._conditions.steps or step.branch >= self._conditions.calls_per_step:
            raise CachekitError(
                f"a calibration is of runs of one kind, and it began with {self._conditions.steps} steps of "
                f"{self._conditions.calls_per_step} calls, but now there are {step.total} steps, call "
                f"{step.branch + 1} in one; calibrate other runs by themselves"
            )


def calibrating(pipe: Any, strategy: str) -> Calibrating:
    """Measure a strategy's profile on whatever the pipeline runs within the context, every step computed.

    `with cachekit.calibrating(pipe, "magcache") as c: pipe(prompt)`, then `c.profile().save("p.json")`. The runs are
    to have one number of steps and the guidance that they will be used with; their prompts may differ.
    """
    return Calibrating(pipe, strategy, tuple(build(calibrated_strategy(strategy), strategy, {}).probes))
