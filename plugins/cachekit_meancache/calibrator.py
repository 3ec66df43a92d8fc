"""Measuring what each stretch of skipped steps would cost, and planning with it (arXiv 2601.19961, section 3.3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import attrs
import numpy as np
import numpy.typing as npt

import cachekit
from cachekit import Calibrator, Conditions, streams, subtract
from cachekit_meancache.velocity import LONGEST, Passed, carried, given, sigma_of

if TYPE_CHECKING:
    import torch

    from cachekit import Residual

GAPS = 7
"""Most skipped steps of a stretch."""


@attrs.define
class VelocityCalibrator(Calibrator):
    """The square of ‖Σ h (forecast - true)‖ over each stretch, for each window, summed over runs, of the first branch.

    Forecasts go on from true velocities up to the computed step and from their own after it, on the true latents. Holds
    the outputs of the last `GAPS + LONGEST` steps.
    """

    scope: ClassVar[str] = "forward"

    conditions: Conditions
    _squares: npt.NDArray[np.float64] = attrs.field(init=False)
    """`[N, GAPS, LONGEST]`: by computed step, skipped steps after it, and window."""
    _runs: int = attrs.field(default=0, init=False)
    _along: float = attrs.field(default=0.0, init=False)
    """Σ (dx/dσ · v): above 0 where the velocity points to the noise."""
    _passed: list[Passed] = attrs.field(factory=list, init=False)

    def __attrs_post_init__(self) -> None:
        self._squares = np.zeros((self.conditions.steps, GAPS, LONGEST))

    def observe(self, step: cachekit.Step, residual: Residual) -> None:
        if step.branch > 0:
            return
        if step.index == 0:
            self._passed = []
        velocity, sigma = step.output(residual), sigma_of(self.conditions.timesteps[step.index])
        self._passed = [*self._passed, Passed(given(step, velocity), sigma, velocity)][-(GAPS + LONGEST) :]
        if len(self._passed) > 1:
            before, now = self._passed[-2:]
            moved = tensor(subtract(now.latents, before.latents)) * tensor(before.velocity)
            self._along += float(moved.mean()) / (sigma - before.sigma)
        if step.index >= GAPS:
            self._measure(step.index - GAPS, step.index)
        if step.index == step.total - 1:
            for computed in range(max(0, step.index - GAPS + 1), step.index):
                self._measure(computed, step.index)
            self._runs += 1

    def _measure(self, computed: int, latest: int) -> None:
        """The stretches after one computed step, for each window."""
        first = latest + 1 - len(self._passed)
        known = self._passed[: computed - first + 1]
        true = self._passed[computed - first + 1 :]
        sign = 1.0 if self._along > 0 else -1.0
        ends = [passed.sigma for passed in true[1:]] + [self._after(latest)]
        for window in range(1, LONGEST + 1):
            passed, error = list(known), 0 * tensor(known[-1].velocity)
            for skipped, (now, after) in enumerate(zip(true, ends, strict=True)):
                back, last = passed[-min(window, len(passed))], passed[-1]
                velocity = carried(back, last, now.latents, now.sigma, after, sign)
                passed.append(attrs.evolve(now, velocity=velocity))
                error = error + (after - now.sigma) * tensor(subtract(velocity, now.velocity))
                self._squares[computed, skipped, window - 1] += float(error.square().mean())

    def _after(self, index: int) -> float:
        timesteps = self.conditions.timesteps
        return sigma_of(timesteps[index + 1]) if index + 1 < len(timesteps) else 0.0

    def evidence(self) -> dict[str, Any]:
        return {"squares": self._squares.tolist(), "along": self._along, "runs": self._runs}

    def absorb(self, evidence: Mapping[str, Any]) -> None:
        squares = np.array(evidence["squares"], dtype=np.float64)
        if squares.shape != self._squares.shape:
            raise ValueError(f"its squares are {squares.shape}, not {self._squares.shape}")
        self._squares += squares
        self._along += float(evidence["along"])
        self._runs += int(evidence["runs"])

    def values(self) -> dict[str, Any]:
        if self._runs == 0:
            raise cachekit.CachekitError("MeanCache is calibrated on whole runs; none was seen")
        if not np.isfinite(self._squares).all():
            raise cachekit.CachekitError("the model's values are not finite in these runs; try another --dtype")
        patterns, windows = plans(np.sqrt(self._squares / self._runs))
        return {"patterns": patterns, "windows": windows, "toward": "noise" if self._along > 0 else "data"}


def tensor(stream: Residual) -> torch.Tensor:
    """The one stream of a whole forward, in float32."""
    return streams(stream)[0].float()


def plans(errors: npt.NDArray[np.float64]) -> tuple[list[str], list[list[int]]]:
    """For every number of computed steps that can be, the path of least summed error, and each step's window."""
    steps = len(errors)
    costs, chosen = errors.min(axis=2), errors.argmin(axis=2) + 1
    best, before = np.full((steps + 1, steps + 1), np.inf), np.full((steps + 1, steps + 1), -1)
    best[0, 0] = 0.0
    for step in range(steps):
        for skipped in range(min(GAPS, steps - 1 - step) + 1):
            following = step + 1 + skipped
            cost = best[step, :-1] + (costs[step, skipped - 1] if skipped else 0.0)
            better = np.flatnonzero(cost < best[following, 1:]) + 1
            best[following, better], before[following, better] = cost[better - 1], step
    patterns, windows = [], []
    for count in np.flatnonzero(np.isfinite(best[steps])):
        marks, looks, end = ["."] * steps, [1] * steps, steps
        for left in range(int(count), 0, -1):
            step = int(before[end, left])
            marks[step] = "X"
            for index in range(step + 1, end):
                looks[index] = int(chosen[step, end - step - 2])
            end = step
        patterns.append("".join(marks))
        windows.append(looks)
    return patterns, windows
