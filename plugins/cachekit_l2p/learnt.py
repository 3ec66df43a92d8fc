"""L2P's predictor: a weighted sum of every step's output before (arXiv 2604.26365, section 3.2)."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

import cachekit
from cachekit import Residual, combine, subtract


@attrs.define
class Learnt(cachekit.Predictor):
    """Forecast from the outputs of all steps before, computed and forecast, with weights for each step.

    Without weights it repeats the last one. It keeps as many outputs as there are rows: with `scope="forward"` those
    are of the latents' size.
    """

    rows: Sequence[Sequence[float]] = attrs.field(
        factory=list, metadata={"help": "row t: weights of the outputs 0 to t in that of step t + 1; `l2p` fills them"}
    )
    _outputs: list[Residual] = attrs.field(factory=list, init=False, repr=False)

    def update(self, step: cachekit.Step, residual: Residual) -> None:
        self._keep(step.output(residual))

    def predict(self, step: cachekit.Step) -> Residual:
        row = [1.0]
        if self.rows:
            row = list(self.rows[len(self._outputs) - 1][: len(self._outputs)])
        output = combine(row, self._outputs)
        self._keep(output)
        return subtract(output, step.output(subtract(output, output)))

    def _keep(self, output: Residual) -> None:
        self._outputs = [*self._outputs, output] if self.rows else [output]
