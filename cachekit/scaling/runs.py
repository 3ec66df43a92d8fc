"""A calibration's runs by the workers of a cluster: each sends back what its calibrator saw; it is added up here."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import attrs

from cachekit.calibration.calibrate import evidence_of
from cachekit.generation.generate import Request
from cachekit.interface.conditions import Conditions
from cachekit.scaling.dealing import Assignment

if TYPE_CHECKING:
    from cachekit.interface.model import Model, Pipeline


@attrs.define
class RunJob:
    """Watches uncached runs of one model for one strategy."""

    model: Model
    strategy: str
    conditions: Conditions
    device: str
    dtype: str
    _pipeline: Pipeline | None = attrs.field(default=None, init=False)

    def load(self) -> None:
        self._pipeline = self.model.load(device=self.device, dtype=self.dtype)

    def do(self, piece: Request, context: None) -> Any:
        assert self._pipeline is not None
        return evidence_of(self._pipeline, self.strategy, piece, self.conditions, lambda done: None)


@attrs.define
class Runs:
    """A queue of runs by their keys."""

    _left: deque[tuple[str, Request]]

    @classmethod
    def of(cls, runs: Mapping[str, Request]) -> Runs:
        return cls(deque(runs.items()))

    def next(self, worker: int) -> Assignment | None:
        if not self._left:
            return None
        key, request = self._left.popleft()
        return Assignment(request, tag=key)

    @property
    def left(self) -> int:
        return len(self._left)

    def gone(self, worker: int) -> None:
        """Nothing was meant for one worker alone."""
