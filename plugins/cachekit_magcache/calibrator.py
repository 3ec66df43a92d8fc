"""Measuring magnitude ratios (arXiv 2506.09045, section 3.1)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import attrs

import cachekit
from cachekit import Calibrator, Conditions, streams

if TYPE_CHECKING:
    import torch

    from cachekit import Residual


@attrs.define
class RatioCalibrator(Calibrator):
    """The mean over tokens (and batch) of |residual_t| / |residual_{t-1}|, averaged over runs, for each branch.

    Keeps one norm a token of the step before.
    """

    conditions: Conditions
    _sums: list[list[float]] = attrs.field(init=False)
    _runs: list[int] = attrs.field(init=False)
    _norms: dict[int, torch.Tensor] = attrs.field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        branches = self.conditions.calls_per_step
        self._sums = [[0.0] * (self.conditions.steps - 1) for _ in range(branches)]
        self._runs = [0] * branches

    def observe(self, step: cachekit.Step, residual: Residual) -> None:
        norms = token_norms(residual)
        if step.index > 0:
            ratio = (norms / self._norms[step.branch]).mean()
            self._sums[step.branch][step.index - 1] += float(ratio)
        self._norms[step.branch] = norms
        self._runs[step.branch] += step.index == step.total - 1

    def evidence(self) -> dict[str, Any]:
        return {"ratio_sums": self._sums, "runs": self._runs}

    def absorb(self, evidence: Mapping[str, Any]) -> None:
        for mine, theirs in zip(self._sums, evidence["ratio_sums"], strict=True):
            mine[:] = [a + b for a, b in zip(mine, theirs, strict=True)]
        self._runs = [a + b for a, b in zip(self._runs, evidence["runs"], strict=True)]

    def values(self) -> dict[str, Any]:
        if self.conditions.steps < 2 or 0 in self._runs:
            raise cachekit.CachekitError("MagCache is calibrated on whole runs of at least 2 steps; none was seen")
        means = [[round(total / runs, 6) for total in sums] for sums, runs in zip(self._sums, self._runs, strict=True)]
        if not all(math.isfinite(mean) and mean > 0 for branch in means for mean in branch):
            raise cachekit.CachekitError(
                "some residuals are zero or not finite in these runs, so they have no ratios; try another --dtype"
            )
        return {"ratios": means[0] if len(means) == 1 else means}


def token_norms(residual: Residual) -> torch.Tensor:
    """The norm of each token, `[B, N]` in float32, over all streams."""
    import torch

    return torch.cat([stream.float().norm(dim=-1) for stream in streams(residual)], dim=-1)
