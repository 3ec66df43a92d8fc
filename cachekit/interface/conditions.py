"""How the runs are made that a calibrator sees."""

from __future__ import annotations

import attrs


@attrs.frozen
class Conditions:
    """How the runs are made that a calibrator sees; what shards must share to be merged."""

    steps: int
    timesteps: tuple[float, ...]
    """One a step, in the model's units."""
    calls_per_step: int
    guidance_scale: float
    guidance_in_batch: bool
    """Whether the batch holds both guidance branches, the captions' half first."""
