"""The damped predictor with a slope for each step, from what was measured."""

from __future__ import annotations

import attrs

from cachekit import Damped
from cachekit_gramcache.outputs import Outputs


@attrs.define
class FittedSlopes(Damped):
    """`damped` with the slope that would have predicted the calibration runs best, held to its own `slope`.

    The fit is a ridge: (measured + pull · slope) / (1 + pull), within 0 and 1.
    """

    pull: float = attrs.field(kw_only=True)
    outputs: Outputs = attrs.field(kw_only=True)

    def slope_at(self, older: int, newer: int, index: int) -> float:
        measured = self.outputs.slope(older, newer, index)
        return min(max((measured + self.pull * self.slope) / (1 + self.pull), 0.0), 1.0)
