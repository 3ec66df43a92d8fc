"""The two plain strategies: equal intervals, and a pattern given as text."""

from __future__ import annotations

from itertools import pairwise

import pytest
from cachekit_predictors import Reuse

from cachekit.attaching.attach import resolve_strategy
from cachekit.errors import CachekitError
from cachekit.interface.strategy import Run, Strategy
from cachekit.registry.plugins import get_plugins


def made(name: str, **params: object) -> Strategy:
    return resolve_strategy(name, params, get_plugins(), "STDiT3", {}, steps=30)


@pytest.mark.parametrize(("steps", "computed"), [(30, 2), (30, 12), (30, 29), (30, 30), (50, 17), (3, 2)])
def test_uniform_spreads_the_computed_steps_evenly_with_both_ends(steps: int, computed: int) -> None:
    plan = made("uniform", computed=computed).plan(Run(steps, Reuse()))
    assert plan is not None
    positions = [i for i, decision in enumerate(plan) if decision == "X"]
    gaps = {b - a for a, b in pairwise(positions)}
    assert (len(plan), len(positions), positions[0], positions[-1]) == (steps, computed, 0, steps - 1)
    assert max(gaps) - min(gaps) <= 1


def test_uniform_of_one_computes_the_first_step_alone() -> None:
    assert made("uniform", computed=1).plan(Run(4, Reuse())) == "X..."


def test_uniform_refuses_more_computed_steps_than_there_are() -> None:
    with pytest.raises(CachekitError, match="can't compute 31 of 30 steps"):
        made("uniform", computed=31).plan(Run(30, Reuse()))


def test_fixed_runs_its_pattern() -> None:
    assert made("fixed", pattern="XX.X.").plan(Run(5, Reuse())) == "XX.X."


@pytest.mark.parametrize(
    ("pattern", "reason"), [("XX-X", "must hold an X"), ("", "must hold an X"), (".XX", "must begin with X")]
)
def test_fixed_refuses_what_is_no_pattern(pattern: str, reason: str) -> None:
    with pytest.raises(CachekitError, match=reason):
        made("fixed", pattern=pattern)


def test_fixed_refuses_a_run_of_another_length() -> None:
    with pytest.raises(CachekitError, match="5 characters for 30 steps"):
        made("fixed", pattern="XX.X.").plan(Run(30, Reuse()))
