"""Sweeps: what a comma stands for."""

from __future__ import annotations

import pytest

from cachekit.errors import CachekitError
from cachekit.registry.grid import expand, grid

STRATEGIES = ("magcache", "teacache", "fixed")
PREDICTORS = ("reuse", "taylor")


@pytest.mark.parametrize(
    ("text", "choices"),
    [
        ("magcache", ["magcache"]),
        ("magcache:thresh=0.1,0.2", ["magcache:thresh=0.1", "magcache:thresh=0.2"]),
        ("magcache:thresh=0.1,0.2:K=3", ["magcache:thresh=0.1:K=3", "magcache:thresh=0.2:K=3"]),
        ("magcache:K=3,5:thresh=1,2", [f"magcache:K={k}:thresh={t}" for k in (3, 5) for t in (1, 2)]),
        ("magcache,teacache:thresh=0.1,0.2", ["magcache", "teacache:thresh=0.1", "teacache:thresh=0.2"]),
        ("magcache:ratios=[0.9,0.8]", ["magcache:ratios=[0.9,0.8]"]),
        ("teacache:coefficients=[1,2],[3,4]", ["teacache:coefficients=[1,2]", "teacache:coefficients=[3,4]"]),
        ("fixed:pattern=X..,X.X", ["fixed:pattern=X..", "fixed:pattern=X.X"]),
        ("magcache:K=3,3", ["magcache:K=3"]),
    ],
)
def test_a_comma_in_a_strategy_is_a_sweep(text: str, choices: list[str]) -> None:
    assert [choice.spec for choice in expand([text], STRATEGIES)] == choices


@pytest.mark.parametrize(
    ("text", "choices"),
    [
        ("reuse,taylor", ["reuse", "taylor"]),
        ("reuse,taylor:order=1,2", ["reuse", "taylor:order=1", "taylor:order=2"]),
        ("taylor:order=1,2,reuse", ["taylor:order=1", "taylor:order=2", "reuse"]),
        ("reuse,taylro", ["reuse", "taylro"]),
    ],
)
def test_a_comma_between_predictors_names_another_or_another_value(text: str, choices: list[str]) -> None:
    assert [choice.spec for choice in expand([text], PREDICTORS)] == choices


def test_the_grid_is_strategies_times_predictors() -> None:
    pairs = grid(expand(["magcache:K=3,5"], STRATEGIES), expand(["reuse,taylor"], PREDICTORS))
    said = [f"{strategy.spec} {predictor.spec}" for strategy, predictor in pairs if predictor]
    assert said == ["magcache:K=3 reuse", "magcache:K=3 taylor", "magcache:K=5 reuse", "magcache:K=5 taylor"]
    assert [predictor for _, predictor in grid(expand(["magcache"], STRATEGIES), [])] == [None]


@pytest.mark.parametrize("text", ["magcache:thresh=0.1,,0.2", "magcache:thresh", "magcache:thresh=0.1:thresh=0.2"])
def test_a_spec_that_says_nothing_clear_is_refused(text: str) -> None:
    with pytest.raises(CachekitError):
        expand([text], STRATEGIES)
