"""Measuring the Gram matrix of the residuals, from one sketch a step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np
import numpy.typing as npt

import cachekit
from cachekit.calibration import Calibrator, Conditions
from cachekit.residuals import streams
from cachekit_gramcache.sketch import WIDTH, count_sketch

if TYPE_CHECKING:
    import torch

    from cachekit.residuals import Residual

SEED = 0


@attrs.define
class GramCalibrator(Calibrator):
    """Σ over runs of <r_s, r_t>, for all pairs of steps; branches that are separate calls add up too.

    Holds a sketch of each step of the run in progress.
    """

    conditions: Conditions
    _gram: npt.NDArray[np.float64] = attrs.field(init=False)
    _runs: int = attrs.field(default=0, init=False)
    _sketches: dict[int, list[torch.Tensor]] = attrs.field(factory=dict, init=False)
    """Of each branch, the sketches of the steps seen so far."""

    def __attrs_post_init__(self) -> None:
        self._gram = np.zeros((self.conditions.steps, self.conditions.steps))

    def observe(self, step: cachekit.Step, residual: Residual) -> None:
        import torch

        if step.index == 0:
            self._sketches[step.branch] = []
        sketches = self._sketches[step.branch]
        sketches.append(count_sketch(self.guided(residual), seed=SEED))
        if len(sketches) == self.conditions.steps:
            rows = torch.stack(sketches).cpu().double().numpy()
            self._gram += rows @ rows.T
            self._runs += step.branch == 0

    def guided(self, residual: Residual) -> list[torch.Tensor]:
        """Each stream as the sampler weighs it: u + s (c - u) where a batch holds captions c, then no captions u."""
        if not self.conditions.guidance_in_batch:
            return list(streams(residual))
        combined = []
        for stream in streams(residual):
            if len(stream) % 2:
                raise cachekit.CachekitError(
                    f"a batch that should hold both guidance branches in halves holds {len(stream)}; "
                    "calibrate with guidance on, or set the pipeline's guidance_in_batch to False"
                )
            c, u = stream.chunk(2)
            combined.append(u + self.conditions.guidance_scale * (c - u))
        return combined

    def evidence(self) -> dict[str, Any]:
        return {"gram": self._gram.tolist(), "runs": self._runs}

    def absorb(self, evidence: Mapping[str, Any]) -> None:
        theirs = np.array(evidence["gram"], dtype=np.float64)
        if theirs.shape != self._gram.shape:
            raise ValueError(f"its gram is {theirs.shape}, not {self._gram.shape}")
        self._gram += theirs
        self._runs += int(evidence["runs"])

    def values(self) -> dict[str, Any]:
        if self.conditions.steps < 2 or self._runs == 0:
            raise cachekit.CachekitError("GramCache is calibrated on whole runs of at least 2 steps; none was seen")
        return {"gram": self._gram.tolist(), "timesteps": list(self.conditions.timesteps)}

    def figures(self) -> dict[str, Any]:
        return {"sketch_numbers": WIDTH, "sketch_seed": SEED}
