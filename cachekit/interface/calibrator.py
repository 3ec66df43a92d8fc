"""The interface of calibrators: the third part of the interface, beside strategy and predictor.

A strategy whose parameters must be measured returns a `Calibrator` from `Strategy.calibrator`; it sees every step of
uncached runs and says what goes into the profile.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cachekit.interface.residuals import Residual
    from cachekit.interface.step import Step


class Calibrator(ABC):
    """Watches uncached runs and measures a profile. It streams: it keeps no more than the step before, or a sketch.

    Evidence is what it saw as JSON, in a form that adds up: the profile of two shards merged is that of one
    calibration which saw the runs of both.
    """

    @abstractmethod
    def observe(self, step: Step, residual: Residual) -> None:
        """See one step of one branch, and what the body added to its hidden states; index 0 begins a run."""

    @abstractmethod
    def evidence(self) -> dict[str, Any]:
        """All that was seen, as JSON."""

    @abstractmethod
    def absorb(self, evidence: Mapping[str, Any]) -> None:
        """Add what another calibrator of the same conditions saw."""

    @abstractmethod
    def values(self) -> dict[str, Any]:
        """The strategy's measured fields; CachekitError where too little was seen."""

    def figures(self) -> dict[str, Any]:
        """How good the measurement is, for the profile's reader."""
        return {}

    def warnings(self) -> list[str]:
        """What the user should know before relying on it, a sentence each."""
        return []
