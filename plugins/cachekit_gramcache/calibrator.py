"""Measuring the Gram matrix of the normalised outputs, from one sketch a step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np
import numpy.typing as npt

import cachekit
from cachekit import Calibrator, Conditions, CountSketch, streams

if TYPE_CHECKING:
    import torch

    from cachekit import Residual

SEED = 0
TOKENS = 1 << 12
"""Tokens normalised at once, so that the outputs of a large model are never held whole in float32."""
EPSILON = 1e-6
"""Added to the variance within a token, as the final layer's normalisation does."""


@attrs.frozen
class Seen:
    """What is kept of one step."""

    sketch: torch.Tensor
    variance: torch.Tensor
    """The mean over tokens of the variance within one."""


@attrs.define
class GramCalibrator(Calibrator):
    """Σ over runs of <y_s, y_t>, for all pairs of steps, and the outputs' scales; separate calls of a step add up.

    Holds a sketch of each step of the run in progress.
    """

    conditions: Conditions
    _gram: npt.NDArray[np.float64] = attrs.field(init=False)
    _variances: npt.NDArray[np.float64] = attrs.field(init=False)
    """Of each step, the sum over runs of the mean variance within a token."""
    _runs: int = attrs.field(default=0, init=False)
    _seen: dict[int, list[Seen]] = attrs.field(factory=dict, init=False)
    """Of each branch, the steps of the run in progress."""

    def __attrs_post_init__(self) -> None:
        if self.conditions.steps < 2:
            raise cachekit.CachekitError("GramCache is calibrated on runs of at least 2 steps; set more")
        self._gram = np.zeros((self.conditions.steps, self.conditions.steps))
        self._variances = np.zeros(self.conditions.steps)

    def observe(self, step: cachekit.Step, residual: Residual) -> None:
        if step.index == 0:
            self._seen[step.branch] = []
        seen = self._seen[step.branch]
        seen.append(self.look(step.hidden, residual))
        if len(seen) == self.conditions.steps:
            rows = np.stack([entry.sketch.cpu().double().numpy() for entry in seen])
            self._gram += rows @ rows.T
            variances = np.array([float(entry.variance) for entry in seen])
            self._variances += variances / self.conditions.calls_per_step
            self._runs += step.branch == 0

    def look(self, hidden: Residual, residual: Residual) -> Seen:
        """What is kept of a step whose output is `hidden + residual`."""
        import torch

        sketch, variances = CountSketch(SEED), []
        for before, change in zip(streams(hidden), streams(residual), strict=True):
            for start, part in zip(before.split(TOKENS, dim=1), change.split(TOKENS, dim=1), strict=True):
                tokens = start.float() + part.float()
                centred = tokens - tokens.mean(-1, keepdim=True)
                variance = centred.square().mean(-1, keepdim=True)
                sketch.add(self.guided(centred * (variance + EPSILON).rsqrt()))
                variances.append(variance.flatten())
        return Seen(sketch.values, torch.cat(variances).mean())

    def guided(self, outputs: torch.Tensor) -> torch.Tensor:
        """As the sampler weighs them: u + s (c - u) where a batch holds captions c, then no captions u."""
        if not self.conditions.guidance_in_batch:
            return outputs
        if len(outputs) % 2:
            raise cachekit.CachekitError(
                f"a batch that should hold both guidance branches in halves holds {len(outputs)}; "
                "calibrate with guidance on, or set the pipeline's guidance_in_batch to False"
            )
        c, u = outputs.chunk(2)
        return u + self.conditions.guidance_scale * (c - u)

    def evidence(self) -> dict[str, Any]:
        return {"gram": self._gram.tolist(), "variances": self._variances.tolist(), "runs": self._runs}

    def absorb(self, evidence: Mapping[str, Any]) -> None:
        gram, variances = (np.array(evidence[key], dtype=np.float64) for key in ("gram", "variances"))
        if gram.shape != self._gram.shape or variances.shape != self._variances.shape:
            raise ValueError(f"its gram is {gram.shape} and its variances {variances.shape}, not {self._gram.shape}")
        self._gram += gram
        self._variances += variances
        self._runs += int(evidence["runs"])

    def values(self) -> dict[str, Any]:
        if self._runs == 0:
            raise cachekit.CachekitError("GramCache is calibrated on whole runs; none was seen")
        scales = np.sqrt(self._variances / self._runs)
        return {"gram": self._gram.tolist(), "scales": scales.tolist(), "timesteps": list(self.conditions.timesteps)}

    def figures(self) -> dict[str, Any]:
        return {"sketch_numbers": CountSketch.width, "sketch_seed": SEED}
