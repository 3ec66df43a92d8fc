"""Every n-th step after a warm-up: the schedule of FORA (arXiv 2407.01425), TaylorSeer (2503.06923) and Spectrum.

The first steps are computed, then one in `n`, counted from the last of them; the last step is not forced. Spectrum
(arXiv 2603.01623, appendix B.1) lets the distance grow: it is ⌊w⌋ with w = n at first and `growth` more after each
computed step.
"""

import math

import attrs
from attrs import validators

import cachekit
from cachekit import finite


@attrs.define
class Interval(cachekit.Strategy):
    """Compute every n-th step after the first ones, whatever the model does."""

    n: int = attrs.field(
        default=5, validator=validators.ge(1), metadata={"help": "distance between computed steps; 1 computes all"}
    )
    first: int = attrs.field(
        default=3, validator=validators.ge(1), metadata={"help": "first steps, which are computed in any case"}
    )
    growth: float = attrs.field(
        default=0.0,
        validator=[finite, validators.ge(0)],
        metadata={"help": "how much longer the distance gets after each computed step, rounded down (Spectrum: 0.75)"},
    )

    def plan(self, run: cachekit.Run) -> str:
        pattern, window, skipped = "", float(self.n), 0
        for index in range(run.steps):
            compute = index < self.first or (skipped + 1) % math.floor(window) == 0
            if compute and index >= self.first:
                window = round(window + self.growth, 3)
            skipped = 0 if compute else skipped + 1
            pattern += "X" if compute else "."
        return pattern


@cachekit.hookimpl
def cachekit_strategies(register: cachekit.RegisterStrategy) -> None:
    register("interval", Interval)
