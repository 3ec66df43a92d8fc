"""How the sampler steps along the flow, and where."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch

from cachekit.errors import CachekitError
from cachekit.opensora.mini.model import OpenSoraMini
from cachekit.opensora.sampler import RFlowSampler
from cachekit.opensora.solvers import SOLVERS, even_timesteps, solver_named, spaced


def run(name: str, steps: int, spacing: float = 1.0) -> float:
    """The end of x' = -v along a curved path, whose exact end is known: data of a Gaussian of standard deviation ½.

    With x = (1 - t) data + t noise, v = (t - (1 - t) s²) x / -(t² + (1 - t)² s²): an x of 1 at t = 1 ends in s.
    """
    times = [spaced(1 - i / steps, spacing) for i in range(steps)] + [0.0]
    solver, x, s = solver_named(name), torch.tensor(1.0, dtype=torch.float64), 0.5
    for now, after in pairwise(times):
        velocity = -(now - (1 - now) * s**2) / (now**2 + (1 - now) ** 2 * s**2) * x
        x = solver.step(x, velocity, now, after)
    return abs(float(x) - s)


@pytest.mark.parametrize(("name", "least", "most"), [("euler", 1.7, 2.4), ("ab2", 3.2, 5.0), ("dpm2m", 3.2, 5.5)])
def test_twice_the_steps_make_a_quarter_of_the_error_in_second_order(name: str, least: float, most: float) -> None:
    ratio = run(name, 100) / run(name, 200)
    assert least < ratio < most


@pytest.mark.parametrize("name", ["ab2", "dpm2m"])
def test_a_solver_of_second_order_is_nearer_with_a_third_of_the_steps(name: str) -> None:
    assert run(name, 10) < run("euler", 30)


@pytest.mark.parametrize("name", SOLVERS)
def test_a_straight_flow_is_solved_exactly_in_any_steps(name: str) -> None:
    solver, x = solver_named(name), torch.tensor([3.0, -1.0])
    data = torch.tensor([0.5, 2.0])
    for now, after in ((1.0, 0.7), (0.7, 0.3), (0.3, 0.0)):
        x = solver.step(x, data - torch.tensor([3.0, -1.0]), now, after)
    assert torch.allclose(x, data, atol=1e-6)


def test_spacing_moves_steps_towards_noise_and_keeps_the_ends() -> None:
    even, near = even_timesteps(10), even_timesteps(10, 4.0)
    assert even[0] == near[0] == 1000
    assert all(b > a for a, b in zip(even[1:], near[1:], strict=True))
    assert spaced(0.5, 4.0) == pytest.approx(0.8)
    assert even_timesteps(10, 1.0) == pytest.approx(even)


def test_the_sampler_is_as_ever_without_options() -> None:
    sizes = {name: torch.tensor([64.0]) for name in ("height", "width", "num_frames")}
    plain, told = RFlowSampler(6), RFlowSampler(6, spacing=1.0, solver="euler")
    assert [float(t) for t in plain.timesteps(**sizes)] == [float(t) for t in told.timesteps(**sizes)]


def test_an_unknown_solver_is_refused_with_the_known_ones() -> None:
    with pytest.raises(CachekitError, match="ab2"):
        solver_named("ab3")
    assert math.isfinite(run("dpm2m", 2))


@pytest.mark.parametrize(("solver", "known"), [(None, True), ("euler", True), ("ab2", False), ("dpm2m", False)])
def test_only_eulers_steps_are_told_as_eulers(solver: str | None, known: bool) -> None:
    assert OpenSoraMini(solver=solver).euler is known
