"""A calibration as a piece of work that can be shared: what is run, and the profile that its runs come to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from cachekit.calibration.calibrate import calibrator_of, profile_of
from cachekit.errors import CachekitError
from cachekit.files.structuring import structure
from cachekit.interface.calibrator import Calibrator
from cachekit.interface.conditions import Conditions
from cachekit.profiles.profile import Profile, ProfiledModel


@attrs.frozen
class CalibrationRun:
    """One run to watch."""

    prompt: str
    seed: int


@attrs.frozen
class CalibrationJob:
    """Which strategy is calibrated on which model, by which runs: what all shares of it have in common."""

    strategy: str
    model: ProfiledModel
    sampler: str
    conditions: Conditions
    device: str
    dtype: str
    runs: tuple[CalibrationRun, ...]

    def as_record(self) -> dict[str, Any]:
        """As JSON holds it."""
        return attrs.asdict(self)

    @property
    def keys(self) -> list[str]:
        """A name for each run, in order."""
        return [str(number) for number in range(len(self.runs))]

    def profile(
        self, evidence: Mapping[str, Mapping[str, Any]], command: str, versions: Mapping[str, str]
    ) -> tuple[Profile, Calibrator]:
        """The profile of all its runs by their evidence, which is added up in the order of the runs."""
        try:
            calibrator = calibrator_of(self.strategy, self.conditions, self._in_order(evidence))
        except (KeyError, TypeError, ValueError) as error:
            if isinstance(error, CachekitError):
                raise
            raise CachekitError(f"the evidence of a run is damaged ({error}); calibrate anew") from error
        made = {
            "command": command,
            "device": self.device,
            "dtype": self.dtype,
            "versions": dict(versions),
            "runs": [attrs.asdict(run) for run in self.runs],
        }
        profile = profile_of(calibrator, self.strategy, self.model, self.sampler, self.conditions, made)
        return profile, calibrator

    def _in_order(self, evidence: Mapping[str, Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
        return [evidence[key] for key in self.keys]


def job_from(record: Mapping[str, Any]) -> CalibrationJob:
    """The calibration that a record is of; CachekitError where it is of none."""
    try:
        return structure(dict(record), CalibrationJob)
    except ValueError as error:
        raise CachekitError(f"this is the record of no calibration: {error}") from error
