"""The damped predictor with a slope for each step, from what was measured."""

from __future__ import annotations

import attrs

from cachekit import Damped
from cachekit_gramcache.outputs import Array, Outputs

ANSWER = 2.0
"""How much of ‖δ / τ‖² an output computed on latents that are off by δ is off, in energy."""


@attrs.define
class FittedSlopes(Damped):
    """`damped` with the slope that would have predicted the calibration runs best, held to its own `slope`, and back.

    The fit is a ridge. With L the way ahead over the way between the two computed steps a and b, both in steps, the
    share of y_b - y_a that is followed is (L · measured + pull · L · slope - λ) / (1 + pull + λ), within 0 and L.

    λ is how much of ‖y_b - y_a‖² is no way that outputs go: the steps skipped between have missed something, δ, so that
    y_b was computed on latents that are off, which a flow answers with -δ / τ. Its energy counts against following
    y_b - y_a twice, as noise does in what is known of both sides of a regression.
    """

    pull: float = attrs.field(kw_only=True)
    outputs: Outputs = attrs.field(kw_only=True)
    sizes: Array = attrs.field(kw_only=True)
    """h_t, `[N]`."""
    noise: Array = attrs.field(kw_only=True)
    """τ_t, `[N]`."""
    _off: dict[tuple[int, int], float] = attrs.field(factory=dict, init=False, repr=False)

    def slope_at(self, older: int, newer: int, index: int) -> float:
        ahead, off = (index - newer) / (newer - older), self.off(older, newer)
        followed = ahead * (self.outputs.slope(older, newer, index) + self.pull * self.slope) - off
        return min(max(followed / (1 + self.pull + off) / ahead, 0.0), 1.0)

    def off(self, older: int, newer: int) -> float:
        """λ, with δ as repeating the older output misses it."""
        if (older, newer) not in self._off:
            missed = self.outputs.missed(self.sizes, self, (older,), newer - older - 1)[-1]  # one residual is repeated
            energy = float(self.outputs.squared(missed))
            way = self.outputs.way(older, newer) * self.noise[newer] ** 2
            self._off[older, newer] = ANSWER * energy / way if way > 0 else 0.0
        return self._off[older, newer]
