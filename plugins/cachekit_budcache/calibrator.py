"""Searching BudCache's patterns on the runs that calibration makes (arXiv 2606.13496, stage 1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import attrs

import cachekit
from cachekit import Calibrator, Conditions, Replay
from cachekit_budcache.search import search

BUDGETS = (0.4, 1 / 3, 0.27, 0.2)
"""Shares of the steps that are searched: 12, 10, 8 and 6 of 30."""


@attrs.define
class SearchCalibrator(Calibrator):
    """The losses of the patterns tried, over requests: some hundreds of runs for each budget and request.

    A pattern is the better the lower its mean loss, of those that were tried on the most requests: the patterns that
    one request found best are tried on the next ones too.
    """

    adds_up: ClassVar[bool] = False

    conditions: Conditions
    _losses: dict[str, list[float]] = attrs.field(factory=dict, init=False)
    """Of each pattern the sum of its losses, and of how many requests."""

    @property
    def budgets(self) -> list[int]:
        steps = self.conditions.steps
        return sorted({max(2, round(share * steps)) for share in BUDGETS if steps > 2}, reverse=True)

    def observe(self, step: cachekit.Step, residual: cachekit.Residual) -> None:
        return None

    def replay(self, again: Replay) -> None:
        tried: dict[str, float] = {}

        def loss(pattern: str) -> float:
            if pattern in tried:
                return tried[pattern]
            error = float((again.cached(pattern) - again.latents).float().square().mean())
            total = self._losses.setdefault(pattern, [0.0, 0])
            total[0] += error
            total[1] += 1
            tried[pattern] = error
            return error

        for budget in self.budgets:
            for pattern in self.best(budget, 5):
                loss(pattern)
            search(self.conditions.steps, budget, loss)

    def best(self, budget: int, count: int) -> list[str]:
        """The patterns of so many computed steps that are best so far."""
        of_budget = [pattern for pattern in self._losses if pattern.count("X") == budget]
        most = max((self._losses[pattern][1] for pattern in of_budget), default=0)
        rated = {p: self._losses[p][0] / self._losses[p][1] for p in of_budget if self._losses[p][1] == most}
        return sorted(rated, key=lambda pattern: (rated[pattern], pattern))[:count]

    def evidence(self) -> dict[str, Any]:
        return {"losses": self._losses}

    def absorb(self, evidence: Mapping[str, Any]) -> None:
        for pattern, (loss, requests) in evidence["losses"].items():
            total = self._losses.setdefault(pattern, [0.0, 0])
            total[0] += float(loss)
            total[1] += int(requests)

    def values(self) -> dict[str, Any]:
        patterns = [best for budget in self.budgets for best in self.best(budget, 1)]
        if not patterns:
            raise cachekit.CachekitError("BudCache is calibrated on whole runs of more than 2 steps; none was seen")
        return {"patterns": patterns}
