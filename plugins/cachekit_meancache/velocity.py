"""MeanCache's velocity (arXiv 2601.19961, section 3.2; MC_zimage.py `compute_current_jvp`)."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
from attrs import validators

import cachekit
from cachekit import Residual, combine, subtract

LONGEST = 6
"""Longest window."""
SCALE = 1000.0
"""The timestep of pure noise, where a model is not given σ itself."""


@attrs.frozen
class Passed:
    """A step that is over: what the span was given, and its velocity, computed or forecast."""

    latents: Residual
    sigma: float
    velocity: Residual


@attrs.define
class Jvp(cachekit.Predictor):
    """Carry the velocity on by its change along the path: for strategies whose span is the whole forward.

    At step i, K steps after i₀, with u = (x_i - x_{i₀}) / (σ_i - σ_{i₀}) the mean velocity over them and
    J = (v_{i₀} - u) / (σ_i - σ_{i₀}), it is v_{i-1} - J (σ_{i+1} - σ_i). K = 1 repeats the last. The guided velocity of
    branches so carried on is the guided one carried on, since guidance weights add up to 1.
    """

    window: int = attrs.field(
        default=2, validator=[validators.ge(1), validators.le(LONGEST)], metadata={"help": "steps K that it looks back"}
    )
    windows: Sequence[int] | None = attrs.field(
        default=None, metadata={"help": "the window of each step in place of one; `meancache` fills it"}
    )
    timesteps: Sequence[float] | None = attrs.field(
        default=None, metadata={"help": "the timestep of each step; none to take each step for as long as the last"}
    )
    toward: str = attrs.field(
        default="noise",
        validator=validators.in_(("noise", "data")),
        metadata={"help": "where the model's velocity points: dx/dσ, or against it as Open-Sora's does"},
    )
    _passed: list[Passed] = attrs.field(factory=list, init=False, repr=False)

    def update(self, step: cachekit.Step, residual: Residual) -> None:
        self._pass(step, step.output(residual))

    def predict(self, step: cachekit.Step) -> Residual:
        window = self.window if self.windows is None else max(1, self.windows[step.index])
        back = self._passed[-min(window, len(self._passed))]
        last = self._passed[-1]
        latents, now = given(step, last.velocity), self._sigma(step)
        after = self._next(step, now, last.sigma)
        velocity = carried(back, last, latents, now, after, sign_of(self.toward))
        self._pass(step, velocity)
        return subtract(velocity, latents)

    def _pass(self, step: cachekit.Step, velocity: Residual) -> None:
        passed = Passed(given(step, velocity), self._sigma(step), velocity)
        longest = self.window if self.windows is None else max(self.windows)
        self._passed = [*self._passed, passed][-max(1, longest) :]

    def _sigma(self, step: cachekit.Step) -> float:
        timestep = step.timestep if self.timesteps is None else self.timesteps[step.index]
        if timestep is None:
            return 1 - step.index / step.total
        return sigma_of(timestep)

    def _next(self, step: cachekit.Step, now: float, before: float) -> float:
        if step.index == step.total - 1:
            return 0.0
        return 2 * now - before if self.timesteps is None else sigma_of(self.timesteps[step.index + 1])


def carried(back: Passed, last: Passed, latents: Residual, now: float, after: float, sign: float) -> Residual:
    """The velocity at σ `now`, from where the sampler goes on to `after`, over the window that begins with `back`."""
    way, ahead = now - back.sigma, after - now
    share = sign * ahead / way**2
    weights = [1.0, -ahead / way, share, -share]
    return combine(weights, [last.velocity, back.velocity, latents, back.latents])


def given(step: cachekit.Step, velocity: Residual) -> Residual:
    """The span's input in the velocity's shape."""
    return step.output(subtract(velocity, velocity))


def sign_of(toward: str) -> float:
    """Of dx/dσ in the model's velocity."""
    return 1.0 if toward == "noise" else -1.0


def sigma_of(timestep: float) -> float:
    return timestep / SCALE if timestep > 1 else timestep
