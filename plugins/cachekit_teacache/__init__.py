"""TeaCache: timestep embedding tells it's time to cache (arXiv 2411.19108).

How much the body's output will change from one step to the next shows in how much its modulated input changes:
a polynomial fitted once per model maps the relative L1 change of the one to that of the other (section 3.3). The
estimates are added up since the last computed step, and the next step whose sum reaches `thresh` is computed
(section 3.4). The published code computes the first and the last step always.
"""

from __future__ import annotations

import importlib.resources
import math
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import attrs
from attrs import validators

import cachekit
from cachekit import finite

if TYPE_CHECKING:
    import torch


def check_coefficients(instance: object, attribute: attrs.Attribute[Any], value: Sequence[float]) -> None:
    if not value or not all(isinstance(entry, (int, float)) and math.isfinite(entry) for entry in value):
        raise ValueError(f"coefficients must be finite numbers, highest power first, not {value!r}")


def check_range(instance: object, attribute: attrs.Attribute[Any], value: Sequence[float]) -> None:
    numbers = all(isinstance(entry, (int, float)) and math.isfinite(entry) for entry in value)
    if not numbers or len(value) != 2 or value[0] > value[1]:
        raise ValueError(f"input_range must be two finite numbers, the smaller first, not {value!r}")


RANGE_MARGIN = 0.1
"""Share of either end of the calibrated range by which a change may pass it before it counts as extrapolation.

Of the end, not of the range's width: with more steps than calibrated the changes fall below the lower end, which is
small, and there a polynomial's value soon has nothing to do with the model.
"""


@attrs.define
class TeaCache(cachekit.Strategy):
    """Compute again once the estimated changes of the output add up to the threshold."""

    thresh: float = attrs.field(
        default=0.2,
        validator=[finite, validators.ge(0)],
        metadata={"help": "estimated relative change that may add up before a step is computed"},
    )
    coefficients: Sequence[float] | None = attrs.field(
        default=None,
        validator=validators.optional(check_coefficients),
        metadata=cachekit.measured("polynomial from the input's relative change to the output's, highest power first"),
    )
    input_range: Sequence[float] | None = attrs.field(
        default=None,
        validator=validators.optional(check_range),
        metadata={"help": "least and greatest change of the input that the polynomial was fitted on, from the profile"},
    )
    probe: str = attrs.field(
        default="modulated_input",
        validator=validators.in_(("modulated_input", "time_embedding")),
        metadata={"help": "whose change is watched: modulated_input, or time_embedding, from the profile"},
    )
    _change: float = attrs.field(default=0.0, init=False, repr=False)
    _previous: torch.Tensor | None = attrs.field(default=None, init=False, repr=False)

    @property
    def probes(self) -> tuple[str, ...]:  # type: ignore[override]
        return (self.probe,)

    def should_compute(self, step: cachekit.Step) -> bool:
        probe = step.probe(self.probe)
        previous, self._previous = self._previous, probe
        if previous is not None and 0 < step.index < step.total - 1:
            input_change = step.relative_change(probe, previous)
            self._warn_of_extrapolation(input_change)
            self._change += polynomial(self.coefficients or (), input_change)
            if self._change < self.thresh:
                return False
        self._change = 0.0
        return True

    def _warn_of_extrapolation(self, input_change: float) -> None:
        """Python shows a warning of one text once in a process, so it is said once a profile, not once a step."""
        if self.input_range is None:
            return
        low, high = self.input_range
        if not low * (1 - RANGE_MARGIN) <= input_change <= high * (1 + RANGE_MARGIN):
            warnings.warn(
                "TeaCache's polynomial is asked to extrapolate: the input changes between steps by less or more than "
                f"the {low:.3g} to {high:.3g} that it was fitted on; calibrate with these steps, guidance and sizes",
                cachekit.CachekitWarning,
                stacklevel=2,
            )

    def calibrator(self, conditions: cachekit.Conditions) -> cachekit.Calibrator:
        from cachekit_teacache.calibrator import PolynomialCalibrator

        return PolynomialCalibrator(conditions)


def polynomial(coefficients: Sequence[float], x: float) -> float:
    """Horner's scheme, highest power first."""
    value = 0.0
    for coefficient in coefficients:
        value = value * x + coefficient
    return value


@cachekit.hookimpl
def cachekit_strategies(register: cachekit.RegisterStrategy) -> None:
    register("teacache", TeaCache, profiles=importlib.resources.files(__name__) / "profiles")
