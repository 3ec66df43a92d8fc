"""Measuring how far outputs are from one another (arXiv 2602.22654, section 3.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

import cachekit
from cachekit import streams

if TYPE_CHECKING:
    import torch


@attrs.define
class OutputCalibrator(cachekit.GramCalibrator):
    """Inner products of the body's outputs, over their number of entries."""

    def vector(self, step: cachekit.Step, residual: cachekit.Residual) -> torch.Tensor:
        output = streams(step.output(residual))[0].float().flatten()
        return output / output.numel() ** 0.5

    def values(self) -> dict[str, Any]:
        return {"gram": self.checked().tolist()}
