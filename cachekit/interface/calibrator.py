"""The interface of calibrators: the third part of the interface, beside strategy and predictor.

A strategy whose parameters must be measured returns a `Calibrator` from `Strategy.calibrator`; it sees every step of
uncached runs and says what goes into the profile.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    import torch

    from cachekit.interface.predictor import Predictor
    from cachekit.interface.residuals import Residual
    from cachekit.interface.step import Step


class Replay(ABC):
    """A request that was just watched without a cache, to be run again in other ways."""

    latents: torch.Tensor
    """What it ended in."""

    @abstractmethod
    def cached(self, pattern: str, predictor: str | Predictor = "reuse") -> torch.Tensor:
        """The final latents of the same request where only the steps marked `X` are computed."""

    @abstractmethod
    def given(self, index: int) -> tuple[torch.Tensor, float]:
        """Latents and timestep with which the transformer was first called at step `index`."""

    @abstractmethod
    def output(self, index: int, *, latents: torch.Tensor | None = None, timestep: float | None = None) -> torch.Tensor:
        """The transformer's output for that call, or for it with other latents or at another timestep."""


class Calibrator(ABC):
    """Watches uncached runs and measures a profile. It streams: it keeps no more than the step before, or a sketch.

    Evidence is what it saw as JSON, in a form that adds up: the profile of two shards merged is that of one
    calibration which saw the runs of both.
    """

    scope: ClassVar[str] = "body"
    """Whose residuals it is shown: the `body`'s, or those of the transformer's whole `forward`."""
    adds_up: ClassVar[bool] = True
    """Whether two shards give the values of one calibration of both; where it searches, they may be other ones."""

    @abstractmethod
    def observe(self, step: Step, residual: Residual) -> None:
        """See one step of one branch, and what the body added to its hidden states; index 0 begins a run."""

    def replay(self, again: Replay) -> None:  # noqa: B027 - most need no more than uncached runs tell
        """Run the request that was just watched again, where more is to be known than uncached runs tell."""

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
