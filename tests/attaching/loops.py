"""Sampling loops as pipelines run them, for tests of where a session thinks it is."""

from __future__ import annotations

import attrs
import torch
from stand_ins import HIDDEN

import cachekit

CAPTION, NULL = torch.full((1, 3, HIDDEN), 0.3), torch.zeros(1, 3, HIDDEN)


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


BUFFER = torch.zeros(1, 6, 4)


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
