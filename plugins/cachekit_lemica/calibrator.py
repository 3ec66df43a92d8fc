"""Measuring LeMiCa's edges (arXiv 2511.00090, section 3.2)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import attrs

import cachekit
from cachekit import COMPUTED, SKIPPED, Calibrator, Conditions, Replay

LONGEST = 7
"""Most skipped steps of an edge."""


@attrs.define
class EdgeCalibrator(Calibrator):
    """Mean |cached - uncached| of the final latents for each gap alone, over requests: some six runs a step each."""

    conditions: Conditions
    _sums: list[list[float]] = attrs.field(init=False)
    _requests: int = attrs.field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        steps = self.conditions.steps
        self._sums = [[0.0] * min(LONGEST, steps - 1 - step) for step in range(steps)]

    def observe(self, step: cachekit.Step, residual: cachekit.Residual) -> None:
        return None

    def replay(self, again: Replay) -> None:
        steps = self.conditions.steps
        for step, sums in enumerate(self._sums):
            for skipped in range(1, len(sums) + 1):
                pattern = COMPUTED * (step + 1) + SKIPPED * skipped + COMPUTED * (steps - step - 1 - skipped)
                sums[skipped - 1] += float((again.cached(pattern) - again.latents).abs().mean())
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
            raise cachekit.CachekitError("LeMiCa is calibrated on whole runs; none was seen")
        edges = [[total / self._requests for total in sums] for sums in self._sums]
        if not all(math.isfinite(weight) for row in edges for weight in row):
            raise cachekit.CachekitError("some final latents are not finite in these runs; try another --dtype")
        return {"edges": edges}
