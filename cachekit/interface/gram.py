"""Calibration by inner products: the error of any linear combination of computed steps, from one matrix."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np
import numpy.typing as npt

from cachekit.errors import CachekitError
from cachekit.interface.calibrator import Calibrator
from cachekit.interface.conditions import Conditions

if TYPE_CHECKING:
    import torch

    from cachekit.interface.residuals import Residual
    from cachekit.interface.step import Step


@attrs.define
class GramCalibrator(Calibrator):
    """Σ over runs of <y_s, y_t> for all pairs of steps, y being what a subclass says; separate calls of a step add up.

    With G that matrix, ‖Σ_t c_t y_t‖² = cᵀ G c for every combination c, so what a linear predictor puts in the place of
    a step is as near to it as G says. Holds one sketch of each step of the run in progress; a short vector is exact.
    """

    conditions: Conditions
    gram: npt.NDArray[np.float64] = attrs.field(init=False)
    """`[N, N]`."""
    runs: int = attrs.field(default=0, init=False)
    """Whole runs seen, of one branch each."""
    _rows: dict[int, list[npt.NDArray[np.float64]]] = attrs.field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        self.gram = np.zeros((self.conditions.steps, self.conditions.steps))

    @abstractmethod
    def vector(self, step: Step, residual: Residual) -> torch.Tensor:
        """y of this step, of one shape throughout a run."""

    def observe(self, step: Step, residual: Residual) -> None:
        from cachekit.interface.sketch import sketch

        if step.index == 0:
            self._rows[step.branch] = []
        rows = self._rows[step.branch]
        rows.append(sketch(self.vector(step, residual)).numpy())
        if len(rows) == self.conditions.steps:
            seen = np.stack(rows)
            self.gram += seen @ seen.T
            self.runs += 1

    def evidence(self) -> dict[str, Any]:
        return {"gram": self.gram.tolist(), "runs": self.runs}

    def absorb(self, evidence: Mapping[str, Any]) -> None:
        gram = np.array(evidence["gram"], dtype=np.float64)
        if gram.shape != self.gram.shape:
            raise ValueError(f"its gram is {gram.shape}, not {self.gram.shape}")
        self.gram += gram
        self.runs += int(evidence["runs"])

    def checked(self) -> npt.NDArray[np.float64]:
        """The matrix as a mean over runs; CachekitError where none was whole or a value is not finite."""
        if self.runs == 0:
            raise CachekitError("calibration needs whole uncached runs; none was seen")
        if not np.isfinite(self.gram).all():
            raise CachekitError("the model's values are not finite in these runs; try another --dtype")
        mean: npt.NDArray[np.float64] = self.gram / self.runs
        return mean
