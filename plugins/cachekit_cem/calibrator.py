"""Measuring CEM's errors (arXiv 2512.23258, section 3.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

import cachekit
from cachekit import streams

if TYPE_CHECKING:
    import torch


@attrs.define
class MeanTokenCalibrator(cachekit.GramCalibrator):
    """Inner products of the mean tokens of the body's outputs, each scaled to length 1, so that they are cosines."""

    def vector(self, step: cachekit.Step, residual: cachekit.Residual) -> torch.Tensor:
        mean = streams(step.output(residual))[0].float().mean(1).flatten()
        return mean / mean.norm()

    def values(self) -> dict[str, Any]:
        return {"gram": self.checked().tolist()}
