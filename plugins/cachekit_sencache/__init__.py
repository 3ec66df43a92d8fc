"""SenCache: sensitivity-aware caching (arXiv 2602.24208; vita-epfl/SenCache, Wan2.1/sencache.py).

How much the output v may have changed since the last computed step, where it was called with latents z_c at t_c, is
bounded by its sensitivities there (section 3.2): J_z ‖z - z_c‖ + J_t |t - t_c|. A step is skipped while that is below a
threshold, a tighter one in the first fifth, and no more than `K` steps in a row. The first branch decides for all.

Norms are over all latents, and thresholds relative to the root of their number; here both are means over entries, so
thresholds are the published ones and a profile fits any size.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

import attrs
from attrs import validators

import cachekit
from cachekit import finite
from cachekit_sencache.calibrator import SensitivityCalibrator

if TYPE_CHECKING:
    import torch


@attrs.define
class SenCache(cachekit.Strategy):
    """Compute where latents and timestep have moved further than the model's sensitivity allows."""

    branches: ClassVar[str] = "first"

    thresh: float = attrs.field(
        default=0.07, validator=[finite, validators.ge(0)], metadata={"help": "estimated change that is still skipped"}
    )
    thresh_first: float = attrs.field(
        default=0.005,
        validator=[finite, validators.ge(0)],
        metadata={"help": "the same in the first fifth of the steps"},
    )
    K: int = attrs.field(default=10, validator=validators.ge(1), metadata={"help": "longest stretch of skipped steps"})
    forced: int = attrs.field(
        default=0,
        validator=validators.ge(0),
        metadata={"help": "steps at either end that are computed in any case (CogVideoX: 1)"},
    )
    latents: Sequence[float] | None = attrs.field(
        default=None, metadata=cachekit.measured("J_z of each step: change of the output over that of the latents")
    )
    time: Sequence[float] | None = attrs.field(
        default=None, metadata=cachekit.measured("J_t of each step: change of the output over that of the timestep")
    )
    timesteps: Sequence[float] | None = attrs.field(
        default=None, metadata=cachekit.measured("the timestep at which each was measured")
    )
    _computed: tuple[torch.Tensor, float, int] | None = attrs.field(default=None, init=False, repr=False)
    """Latents and timestep of the last computed step, and the nearest one measured."""
    _skipped: int = attrs.field(default=0, init=False, repr=False)

    def should_compute(self, step: cachekit.Step) -> bool:
        early = step.index < round(0.2 * step.total)
        free = self.forced <= step.index < step.total - self.forced
        thresh = self.thresh_first if early else self.thresh
        if self._computed is None or not free or self._skipped >= self.K or self.estimate(step) >= thresh:
            self._skipped = 0
            return True
        self._skipped += 1
        return False

    def estimate(self, step: cachekit.Step) -> float:
        """How much an entry of the output may have changed since the last computed step."""
        assert self._computed is not None and self.latents is not None and self.time is not None
        latents, timestep, nearest = self._computed
        moved = float(step.means((step.latents - latents).square())[0]) ** 0.5
        return self.latents[nearest] * moved + self.time[nearest] * abs(timestep_of(step) - timestep)

    def observe(self, step: cachekit.Step, residual: cachekit.Residual) -> None:
        timestep = timestep_of(step)
        known = self.timesteps or ()
        nearest = min(range(len(known)), key=lambda index: abs(known[index] - timestep))
        self._computed = step.latents, timestep, nearest

    def calibrator(self, conditions: cachekit.Conditions) -> cachekit.Calibrator:
        return SensitivityCalibrator(conditions)


def timestep_of(step: cachekit.Step) -> float:
    if step.timestep is None:
        raise cachekit.CachekitError("sencache needs the timestep, but this transformer takes none")
    return step.timestep


@cachekit.hookimpl
def cachekit_strategies(register: cachekit.RegisterStrategy) -> None:
    register("sencache", SenCache)
