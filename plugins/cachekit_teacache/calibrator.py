"""Fitting TeaCache's polynomial (arXiv 2411.19108, section 3.3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

import cachekit
from cachekit import Calibrator, Conditions, streams

if TYPE_CHECKING:
    import torch

    from cachekit import Residual

DEGREE = 4
POOR_FIT = 0.5
"""R² under which the polynomial says little."""


@attrs.define
class PolynomialCalibrator(Calibrator):
    """Least squares from the relative L1 change of the modulated input to that of the body's residual.

    Keeps the probe and residual of the step before, and one pair of numbers a step.
    """

    conditions: Conditions
    _inputs: list[float] = attrs.field(factory=list, init=False)
    _outputs: list[float] = attrs.field(factory=list, init=False)
    _runs: int = attrs.field(default=0, init=False)
    _before: dict[int, tuple[torch.Tensor, torch.Tensor]] = attrs.field(factory=dict, init=False)

    def observe(self, step: cachekit.Step, residual: Residual) -> None:
        now = (step.probe("modulated_input"), streams(residual)[0])
        if step.index > 0:
            before = self._before[step.branch]
            self._inputs.append(step.relative_change(now[0], before[0]))
            self._outputs.append(step.relative_change(now[1], before[1]))
        self._before[step.branch] = now
        self._runs += step.branch == 0 and step.index == step.total - 1

    def evidence(self) -> dict[str, Any]:
        return {"input_changes": self._inputs, "output_changes": self._outputs, "runs": self._runs}

    def absorb(self, evidence: Mapping[str, Any]) -> None:
        self._inputs += evidence["input_changes"]
        self._outputs += evidence["output_changes"]
        self._runs += evidence["runs"]

    def values(self) -> dict[str, Any]:
        if not np.isfinite([*self._inputs, *self._outputs]).all():
            raise cachekit.CachekitError(
                "the model's values are not finite in these runs, so nothing can be fitted; try another --dtype"
            )
        if len(self._inputs) <= DEGREE:
            raise cachekit.CachekitError(
                f"TeaCache's polynomial of degree {DEGREE} needs more than {DEGREE} changes between steps, "
                f"but {len(self._inputs)} were seen; calibrate with more steps"
            )
        return {
            "coefficients": [float(c) for c in np.polyfit(self._inputs, self._outputs, DEGREE)],
            "input_range": [min(self._inputs), max(self._inputs)],
        }

    def figures(self) -> dict[str, Any]:
        return {"r_squared": self._r_squared()}

    def warnings(self) -> list[str]:
        r_squared = self._r_squared()
        if r_squared >= POOR_FIT:
            return []
        return [
            f"the polynomial fits poorly (R² {r_squared:.2f}): the modulated input says little about the output here"
        ]

    def _r_squared(self) -> float:
        outputs = np.array(self._outputs)
        errors = outputs - np.polyval(self.values()["coefficients"], self._inputs)
        spread = ((outputs - outputs.mean()) ** 2).sum()
        return float(1 - (errors**2).sum() / spread) if spread > 0 else 0.0
