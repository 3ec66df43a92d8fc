"""SpeCa: speculative feature caching (arXiv 2509.11628; Shenyi-Z/Cache4Diffusion, flux/speca-flux, cal_type.py).

Skipped steps are drafts, forecast by TaylorSeer; a check layer that is really run verifies them (section 3.3). From the
`free` th skip after a computed step on, the forecast of that layer's residual is compared with the true one, mean
|forecast - true| / |true| element by element, and where it is above max(0.1, base · decay^progress) the next step is
computed; so it is after `longest` skips. The step after a computed one is always a draft, in the first steps too.

The check layer is the first block here, which runs on every step, and the paper's is the last: an error shows there as
well, at the same cost, and nothing of the model is run twice.
"""

from __future__ import annotations

import copy
from typing import ClassVar

import attrs
from attrs import validators

import cachekit
from cachekit import finite, streams, subtract

SMALLEST_THRESHOLD = 0.1
TINY = 1e-10


@attrs.define
class SpeCa(cachekit.Strategy):
    """Compute where a draft of the first block was found wrong, or drafts have gone on too long."""

    predictor: ClassVar[str] = "taylorseer"
    head: ClassVar[int] = 1

    base: float = attrs.field(
        default=7.0, validator=[finite, validators.ge(0)], metadata={"help": "error allowed at the start of a run"}
    )
    decay: float = attrs.field(
        default=0.3, validator=[finite, validators.gt(0)], metadata={"help": "share of it allowed at the end"}
    )
    free: int = attrs.field(
        default=2, validator=validators.ge(1), metadata={"help": "skips after a computed step that are not checked"}
    )
    longest: int = attrs.field(default=8, validator=validators.ge(1), metadata={"help": "most skips in a row"})
    first: int = attrs.field(default=3, validator=validators.ge(1), metadata={"help": "first steps, not checked"})
    _drafts: int = attrs.field(default=0, init=False, repr=False)
    """Skipped steps since the last computed one; 0 where that was the step before."""
    _error: float | None = attrs.field(default=None, init=False, repr=False)
    _check: cachekit.Predictor | None = attrs.field(default=None, init=False, repr=False)
    """Forecasts the first block's residual as the run's predictor does the others'."""

    def fit_predictor(self, run: cachekit.Run) -> cachekit.Predictor:
        self._check = copy.deepcopy(run.predictor)
        return run.predictor

    def should_compute(self, step: cachekit.Step) -> bool:
        compute = self.decide(step.index, step.total)
        if self.checks:
            self.note(self.error(step))
        return compute

    def decide(self, index: int, steps: int) -> bool:
        """The decision, from the errors that the checks found at the steps before."""
        threshold = max(self.base * self.decay ** (index / steps), SMALLEST_THRESHOLD)
        wrong = self._error is not None and self._error > threshold
        compute = index == 0 or (self._drafts > 0 and (index < self.first or self._drafts >= self.longest or wrong))
        self._drafts = 0 if compute else self._drafts + 1
        if compute:
            self._error = None
        return compute

    @property
    def checks(self) -> bool:
        """Whether this step is a draft that is verified."""
        return self._drafts > self.free

    def note(self, error: float | None) -> None:
        """What the check of this step found; None where there was none."""
        self._error = error

    def error(self, step: cachekit.Step) -> float:
        """mean |forecast - true| / |true| of what the first block adds."""
        assert self._check is not None
        true = streams(subtract(step.hidden, step.entry))[0]
        forecast = streams(self._check.predict(step))[0]
        return float(step.means((forecast - true) / (true.abs() + TINY))[0])

    def observe(self, step: cachekit.Step, residual: cachekit.Residual) -> None:
        assert self._check is not None
        self._check.update(step, subtract(step.hidden, step.entry))


@cachekit.hookimpl
def cachekit_strategies(register: cachekit.RegisterStrategy) -> None:
    register("speca", SpeCa)
