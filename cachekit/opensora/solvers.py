"""How the sampler steps along the flow, and where: solvers of one and two orders, and timesteps spaced otherwise.

Times are in units of 1000, from 1 (noise) down to 0; the velocity points to the data: x = (1 - t) data + t noise,
v = data - noise. No torch is imported here, for a model's options are read without it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

import attrs
from attrs import validators

from cachekit.errors import unknown

if TYPE_CHECKING:
    import torch


def spaced(fraction: float, spacing: float) -> float:
    """A time moved towards noise (spacing above 1) or data: r t / (1 + (r - 1) t), Open-Sora's timestep transform."""
    return spacing * fraction / (1 + (spacing - 1) * fraction)


def even_timesteps(steps: int, spacing: float | None = None) -> tuple[float, ...]:
    """From 1000 downwards, one a step."""
    if spacing is None:
        return tuple((1 - i / steps) * 1000.0 for i in range(steps))
    return tuple(spaced(1 - i / steps, spacing) * 1000.0 for i in range(steps))


@attrs.define
class Euler:
    """x + h v: what Open-Sora samples with."""

    name: ClassVar[str] = "euler"

    def step(self, x: torch.Tensor, velocity: torch.Tensor, now: float, after: float) -> torch.Tensor:
        """x at time `after`, from x and its velocity at time `now`."""
        return x + (now - after) * velocity


@attrs.define
class AdamsBashforth(Euler):
    """Two steps, second order: v + h / (2 h') (v - v'), with v' and h' the step before's; the first step is Euler's."""

    name: ClassVar[str] = "ab2"
    _before: tuple[torch.Tensor, float] | None = attrs.field(default=None, init=False)

    def step(self, x: torch.Tensor, velocity: torch.Tensor, now: float, after: float) -> torch.Tensor:
        size, carried = now - after, velocity
        if self._before is not None and self._before[1] > 0:
            earlier, length = self._before
            carried = velocity + size / (2 * length) * (velocity - earlier)
        self._before = velocity, size
        return x + size * carried


@attrs.define
class DPMSolver(Euler):
    """DPM-Solver++ (2M) (arXiv 2211.01095, algorithm 2) for α = 1 - t, σ = t: on the data that each step foresees.

    First and last step are of first order, since λ = log(α / σ) is infinite at both ends.
    """

    name: ClassVar[str] = "dpm2m"
    _before: tuple[torch.Tensor, float] | None = attrs.field(default=None, init=False)
    """Data foreseen one step ago, and that step's length in λ."""

    def step(self, x: torch.Tensor, velocity: torch.Tensor, now: float, after: float) -> torch.Tensor:
        data = foreseen = x + now * velocity
        length = log_ratio(after) - log_ratio(now)
        if self._before is not None and math.isfinite(length) and math.isfinite(self._before[1]):
            earlier, before = self._before
            foreseen = data + length / (2 * before) * (data - earlier)
        self._before = data, length
        ratio = after / now
        return ratio * x + (1 - ratio) * foreseen


def log_ratio(time: float) -> float:
    """λ = log((1 - t) / t)."""
    if time >= 1:
        return -math.inf
    return math.log((1 - time) / time) if time > 0 else math.inf


SOLVERS: dict[str, type[Euler]] = {solver.name: solver for solver in (Euler, AdamsBashforth, DPMSolver)}


def solver_named(name: str | None) -> Euler:
    """A fresh solver; None for Euler's."""
    name = Euler.name if name is None else name
    if name not in SOLVERS:
        raise unknown("solver", name, SOLVERS)
    return SOLVERS[name]()


def is_euler(name: str | None) -> bool:
    """Whether the solver of that name adds each velocity times its step and nothing else."""
    return type(solver_named(name)) is Euler


def check_solver(instance: object, attribute: attrs.Attribute[Any], value: str | None) -> None:
    solver_named(value)


def spacing_field() -> Any:
    """The model option `spacing`."""
    return attrs.field(
        default=None,
        validator=validators.optional([validators.gt(0), validators.lt(1000)]),
        metadata={"help": "how much more of the steps lie near noise: r t / (1 + (r - 1) t); 1 or none for even ones"},
    )


def solver_field() -> Any:
    """The model option `solver`."""
    return attrs.field(
        default=None,
        validator=check_solver,
        metadata={"help": "euler (or none), ab2 (Adams-Bashforth of order 2) or dpm2m (DPM-Solver++ 2M)"},
    )
