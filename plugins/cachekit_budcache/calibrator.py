"""Searching BudCache's patterns on the runs that calibration makes (arXiv 2606.13496, stage 1)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

import cachekit
from cachekit import COMPUTED, Calibrator, Conditions, Replay
from cachekit_budcache.search import search

BUDGETS = (0.4, 1 / 3, 0.27, 0.2)
"""Shares of the steps that are searched: 12, 10, 8 and 6 of 30."""


@attrs.define
class SearchCalibrator(Calibrator):
    """The best pattern of each budget for each request: some hundreds of runs for each.

    Published for one request. Of several, that pattern is taken whose computed steps lie nearest to all the others'.
    """

    conditions: Conditions
    _found: list[str] = attrs.field(factory=list, init=False)

    @property
    def budgets(self) -> list[int]:
        steps = self.conditions.steps
        return sorted({max(2, round(share * steps)) for share in BUDGETS if steps > 2}, reverse=True)

    def observe(self, step: cachekit.Step, residual: cachekit.Residual) -> None:
        return None

    def replay(self, again: Replay) -> None:
        def loss(pattern: str) -> float:
            error = float((again.cached(pattern) - again.latents).float().square().mean())
            if not math.isfinite(error):
                raise cachekit.CachekitError("some final latents are not finite in these runs; try another --dtype")
            return error

        self._found += [search(self.conditions.steps, budget, loss) for budget in self.budgets]

    def evidence(self) -> dict[str, Any]:
        return {"patterns": self._found}

    def absorb(self, evidence: Mapping[str, Any]) -> None:
        self._found += evidence["patterns"]

    def values(self) -> dict[str, Any]:
        if not self._found:
            raise cachekit.CachekitError("BudCache is calibrated on whole runs of more than 2 steps; none was seen")
        by_budget = [[p for p in self._found if p.count(COMPUTED) == budget] for budget in self.budgets]
        return {"patterns": [central(patterns) for patterns in by_budget]}


def central(patterns: Sequence[str]) -> str:
    """Of patterns of one budget, the one whose computed steps lie nearest to the others', all distances added up."""
    return min(patterns, key=lambda pattern: (sum(apart(pattern, other) for other in patterns), pattern))


def apart(pattern: str, other: str) -> int:
    """How far the computed steps lie apart, the first from the first and so on."""
    ours, theirs = ([step for step, mark in enumerate(of) if mark == COMPUTED] for of in (pattern, other))
    return sum(abs(mine - its) for mine, its in zip(ours, theirs, strict=True))
