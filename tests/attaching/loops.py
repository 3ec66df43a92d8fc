"""Sampling loops as pipelines run them, for tests of where a session thinks it is."""

from __future__ import annotations

import attrs
import torch
from stand_ins import HIDDEN

import cachekit

CAPTION, NULL = torch.full((1, 3, HIDDEN), 0.3), torch.zeros(1, 3, HIDDEN)


PLMS = [900.0, 800.0, 800.0, 700.0, 600.0, 500.0, 400.0, 300.0, 200.0, 100.0]
"""The timesteps of diffusers' PNDMScheduler without Runge-Kutta steps, which takes the second twice."""


def falling(steps: int, start: float = 1000.0) -> list[float]:
    """Timesteps from `start` down, evenly: a whole run from 1000, image-to-image from below."""
    return [start * (1 - index / steps) for index in range(steps)]


def shifted(steps: int, shift: float) -> list[float]:
    """Timesteps of a flow with a shift: short steps first, long ones last."""
    return [1000 * shift * s / (1 + (shift - 1) * s) for s in (1 - index / steps for index in range(steps))]


@attrs.define
class Loop:
    """One generation of a pipeline, told in the arguments that pipelines differ in."""

    timesteps: list[float]
    seed: int = 0
    guided: range | None = None
    """Steps that make a second call, without the caption."""
    batch: int = 1
    tokens: int = 6
    stop_after: int | None = None
    """Calls after which it is interrupted."""
    per_token: bool = False
    """Whether the timestep is given for each batch entry with the first at 0, as image-to-video does."""
    dtype: torch.dtype = torch.float32
    """What the timesteps are rounded to."""
    fresh_tensors: bool = False
    """Whether each call is given its own copy of the latents."""
    in_place: bool = False
    """Whether one buffer holds the latents throughout, written over by each run."""

    def __call__(self, model) -> torch.Tensor:
        generator = torch.Generator().manual_seed(self.seed)
        latents = torch.randn(self.batch, self.tokens, 4, generator=generator)
        if self.in_place:
            latents = BUFFER.copy_(latents)
        calls = 0
        for index, now in enumerate(self.timesteps):
            after = self.timesteps[index + 1] if index + 1 < len(self.timesteps) else min(0.0, self.timesteps[0])
            guided = self.guided is not None and index in self.guided
            velocities = []
            for caption in (CAPTION, NULL) if guided else (CAPTION,):
                if calls == self.stop_after:
                    return latents
                calls += 1
                given = latents.clone() if self.fresh_tensors else latents
                velocities.append(model(given, self.timestep(now), caption.expand(self.batch, -1, -1)))
            velocity = velocities[-1] + 3 * (velocities[0] - velocities[-1]) if guided else velocities[0]
            change = velocity * (now - after) / 1000
            latents = latents.sub_(change) if self.in_place else latents - change
        return latents.clone()

    def timestep(self, now: float) -> torch.Tensor:
        values = torch.full((self.batch,), now, dtype=self.dtype).float()
        if self.per_token:
            values[0] = 0.0
        return values


@attrs.define
class Walk:
    """A sampler that goes through its timesteps in no plain order, or makes calls of its own kind at each.

    `captions` are those of the calls at each timestep; `churn` adds noise between them, as samplers do that take a
    timestep twice; `rows` are the factors by which the timestep of each entry of the batch differs.
    """

    timesteps: list[float]
    seed: int = 7
    captions: tuple[torch.Tensor, ...] = (CAPTION,)
    churn: bool = False
    rows: tuple[float, ...] = (1.0,)

    def __call__(self, model) -> torch.Tensor:
        generator = torch.Generator().manual_seed(self.seed)
        latents = torch.randn(len(self.rows), 6, 4, generator=generator)
        for now in self.timesteps:
            change = torch.zeros_like(latents)
            for caption in self.captions:
                timestep = torch.tensor([now * row for row in self.rows])
                change = change + model(latents, timestep, caption.expand(len(self.rows), -1, -1))
            latents = latents - 0.05 * change
            if self.churn:
                latents = latents + 0.01 * torch.randn(latents.shape, generator=generator)
        return latents


def heun(steps: int) -> list[float]:
    """The timesteps of diffusers' HeunDiscreteScheduler: all but the first twice, each a call with other latents."""
    first, *others = falling(steps)
    return [first, *(timestep for timestep in others for _ in range(2))]


def in_turn(*seeds: int):
    """Generations that take turns at every step."""

    def play(model) -> torch.Tensor:
        latents = [torch.randn(1, 6, 4, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
        for now in falling(10):
            latents = [one - 0.05 * model(one, torch.tensor([now]), CAPTION) for one in latents]
        return torch.cat(latents)

    return play


BUFFER = torch.zeros(1, 6, 4)


@attrs.define
class Pipeline:
    """A bare pipeline that holds its captions and gives the same tensors at every step, as they do.

    `captions` says which of them are called at each step, by their positions in `CAPTIONS`; `first` is the step of the
    whole schedule with which it begins, as image-to-image does.
    """

    captions: str | tuple[str, ...] = "0"
    seed: int = 7
    first: int = 0
    stop_after: int | None = None
    """Steps after which it is interrupted."""

    def __call__(self, model) -> torch.Tensor:
        latents = torch.randn(1, 6, 4, generator=torch.Generator().manual_seed(self.seed))
        for index, now in enumerate(falling(10)[self.first : self.stop_after]):
            called = self.captions if isinstance(self.captions, str) else self.captions[index]
            velocities = [model(latents, torch.tensor([now]), CAPTIONS[int(position)]) for position in called]
            latents = latents - 0.1 * sum(velocities)
        return latents


CAPTIONS = [CAPTION, NULL, 2 * CAPTION, -CAPTION]


@attrs.define
class EveryThird(cachekit.Strategy):
    """Plans: computes every third step, whatever the count."""

    def plan(self, run: cachekit.Run) -> str:
        return ("X.." * run.steps)[: run.steps]


@attrs.define
class Drift(cachekit.Strategy):
    """Decides: computes once what the blocks are given has drifted far enough from the last computed step."""

    thresh: float = 0.15
    _before: torch.Tensor | None = attrs.field(default=None, init=False)

    def should_compute(self, step: cachekit.Step) -> bool:
        if self._before is None or step.relative_change(step.hidden, self._before) > self.thresh:
            self._before = step.hidden
            return True
        return False
