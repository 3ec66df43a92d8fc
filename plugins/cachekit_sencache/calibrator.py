"""Measuring the model's sensitivities (arXiv 2602.24208, section 3.2; SenCache's sensitivity_calculation.py)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import attrs

import cachekit
from cachekit import Calibrator, Conditions, Replay


@attrs.define
class SensitivityCalibrator(Calibrator):
    """Differences along the sampler's own steps, one argument moved at a time; two calls more of the model a step.

    J_z = ‖v(z', t) - v(z, t)‖ / ‖z' - z‖ and J_t = ‖v(z, t') - v(z, t)‖ / |t' - t|, z' and t' the next step's; the
    second over the root of the number of entries. The last step has no next one, and takes the one before. The public
    code noises real videos; these are the sampler's own latents.
    """

    conditions: Conditions
    _sums: list[list[float]] = attrs.field(init=False)
    """J_z and J_t of each step, over requests."""
    _requests: int = attrs.field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        self._sums = [[0.0] * self.conditions.steps for _ in range(2)]

    def observe(self, step: cachekit.Step, residual: cachekit.Residual) -> None:
        return None

    def replay(self, again: Replay) -> None:
        steps = self.conditions.steps
        for index in range(steps):
            here, now = again.given(index)
            there, then = again.given(index + 1 if index + 1 < steps else index - 1)
            output = again.output(index).float()
            moved = again.output(index, latents=there).float() - output
            later = again.output(index, timestep=then).float() - output
            self._sums[0][index] += float(moved.norm() / (there.float() - here.float()).norm())
            self._sums[1][index] += float(later.norm() / later.numel() ** 0.5 / abs(then - now))
        self._requests += 1

    def evidence(self) -> dict[str, Any]:
        return {"sums": self._sums, "requests": self._requests}

    def absorb(self, evidence: Mapping[str, Any]) -> None:
        self._sums = [
            [a + b for a, b in zip(mine, theirs, strict=True)]
            for mine, theirs in zip(self._sums, evidence["sums"], strict=True)
        ]
        self._requests += int(evidence["requests"])

    def values(self) -> dict[str, Any]:
        if self._requests == 0:
            raise cachekit.CachekitError("SenCache is calibrated on whole runs; none was seen")
        latents, time = ([total / self._requests for total in sums] for sums in self._sums)
        if not all(math.isfinite(value) for value in (*latents, *time)):
            raise cachekit.CachekitError("some sensitivities are not finite in these runs; try another --dtype")
        return {"latents": latents, "time": time, "timesteps": list(self.conditions.timesteps)}
