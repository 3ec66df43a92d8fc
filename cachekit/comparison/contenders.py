"""Who is compared: the uncached model, the settings asked for, and the baselines that a cache must beat."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

import attrs

from cachekit.errors import CachekitError
from cachekit.generation.generate import Cache
from cachekit.generation.manifest import Setting
from cachekit.interface.strategy import UNCACHED
from cachekit.registry.grid import Choice
from cachekit.registry.parameters import as_record
from cachekit.registry.plugins import PluginManager

Kind = Literal[
    "uncached",
    "reference",
    "setting",
    "fewer steps",
    "fewer steps, spaced well",
    "better solver",
    "equal intervals",
]
SOLVERS = ("ab2", "dpm2m")
"""Those of second order that a model of ours may be sampled with."""
ChooseSpacing = Callable[[int], float | None]
"""The best spacing of a number of steps on calibration prompts; None where the model's can't be chosen."""
ResolveCache = Callable[[Choice, Choice | None, int], Cache | None]
"""The cache of a strategy and predictor at a step count, checked against the model; None for the bare model."""


@attrs.frozen
class Contender:
    """One way of making the videos."""

    kind: Kind
    label: str
    """For people: `magcache thresh=0.1 + taylor`."""
    strategy: str
    predictor: str | None
    """As it was named, `taylor:order=1`."""
    given: dict[str, str]
    """The strategy's parameters that were said rather than left at their defaults."""
    setting: Setting
    cache: Cache | None = attrs.field(eq=False, repr=False)
    sampling: dict[str, Any] = attrs.field(factory=dict)
    """Spacing and solver, where they are not the model's."""

    @property
    def folder(self) -> str:
        """Where its videos are: a few words, and a digest of all that a video depends on, so twins share a folder."""
        words = [self.setting.strategy, (self.setting.predictor or "").partition(":")[0], f"{self.setting.steps}-steps"]
        content = json.dumps(attrs.asdict(self.setting), sort_keys=True)
        return "-".join([*filter(None, words), hashlib.sha256(content.encode()).hexdigest()[:10]])


@attrs.frozen
class Field:
    """Makes the contenders of one comparison: all share the model and how its videos are made."""

    base: Setting
    """The uncached model's setting."""
    timesteps: tuple[float, ...]
    resolve: ResolveCache = attrs.field(repr=False)
    plugins: PluginManager = attrs.field(repr=False)
    spacing: ChooseSpacing = attrs.field(default=lambda steps: None, repr=False)

    def uncached(self) -> Contender:
        return Contender("uncached", "uncached", UNCACHED, None, {}, self.base, None)

    def setting(self, strategy: Choice, predictor: Choice | None, kind: Kind = "setting") -> Contender:
        """A strategy with a predictor; CachekitError where that can't be."""
        cache = self.resolve(strategy, predictor, self.base.steps)
        if cache is None:
            return self.uncached()
        named = predictor.spec if predictor else cache.predictor_spec(self.plugins)
        words = [strategy.name, *(f"{key}={value}" for key, value in strategy.settings.items()), "+", named]
        setting = attrs.evolve(
            self.base,
            strategy=strategy.name,
            predictor=cache.predictor_spec(self.plugins),
            params=as_record(cache.params),
        )
        return Contender(kind, " ".join(words), strategy.name, named, strategy.settings, setting, cache)

    def fewer_steps(self, steps: int) -> Contender:
        """The uncached model at another step count."""
        setting = attrs.evolve(self.base, steps=steps)
        return Contender("fewer steps", f"uncached, {steps} steps", UNCACHED, None, {}, setting, None)

    def reference(self, steps: int) -> Contender:
        """The uncached model with many steps, as a second thing to compare with; None of its videos is a setting's."""
        if steps <= self.base.steps:
            raise CachekitError(
                f"the reference must have more than the {self.base.steps} steps of the run, not {steps}; "
                "name more with --reference-steps"
            )
        return attrs.evolve(self.fewer_steps(steps), kind="reference")

    def sampled_better(self, steps: int) -> list[Contender]:
        """The uncached model with so many steps, spaced well, by its own solver and by those of second order."""
        spacing = self.spacing(steps)
        if spacing is None:
            return []
        contenders = []
        for solver in (None, *SOLVERS):
            sampling = {"spacing": spacing} | ({} if solver is None else {"solver": solver})
            setting = attrs.evolve(self.base, steps=steps, model_options={**self.base.model_options, **sampling})
            words = f"uncached, spaced {spacing:g}, {steps} steps" + (f", {solver}" if solver else "")
            kind: Kind = "better solver" if solver else "fewer steps, spaced well"
            contenders.append(Contender(kind, words, UNCACHED, None, {}, setting, None, sampling))
        return contenders

    def baselines(self, counts: Iterable[int], predictors: Sequence[Choice]) -> list[Contender]:
        """For each number of computed steps: the model with that many, even and spaced well, and equal intervals."""
        contenders = []
        for count in sorted({count for count in counts if 0 < count < self.base.steps}, reverse=True):
            contenders += [self.fewer_steps(count), *self.sampled_better(count)]
            uniform = Choice("uniform", {"computed": str(count)})
            contenders += [self.setting(uniform, predictor, "equal intervals") for predictor in predictors]
        return contenders

    def planned_count(self, contender: Contender) -> int | None:
        """How many steps a contender computes, where its plan says so ahead of the run."""
        if contender.cache is None:
            return None
        plan = contender.cache.plan(self.base.steps, self.timesteps)
        return None if plan is None else plan.count("X")
