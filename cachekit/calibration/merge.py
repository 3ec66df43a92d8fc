"""Merging profiles: shards of one calibration, made on several machines, add up to the profile of all their runs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import attrs

from cachekit.calibration.calibrate import calibrator_for
from cachekit.errors import CachekitError
from cachekit.profiles.profile import Profile


def merge_profiles(shards: Mapping[str, Profile], command: str) -> Profile:
    """The profile of all that these shards saw, by their names; `command` goes into `made`.

    Raises CachekitError where they are of several strategies, models or conditions, where one holds no evidence, and
    where a run (a prompt with its seed) stands in two of them, since it would count double.
    """
    if len(shards) < 2:
        raise CachekitError("merging takes at least two profiles; name them all")
    (first_name, first), *others = shards.items()
    for name, shard in shards.items():
        if not shard.evidence or shard.conditions is None:
            raise CachekitError(
                f"the profile {name!r} holds no evidence (published numbers don't), so it can't be merged"
            )
    for name, shard in others:
        _check_alike(first_name, first, name, shard)
    runs = _all_runs(shards)
    assert first.conditions is not None
    calibrator = calibrator_for(first.strategy, first.conditions)
    for name, shard in shards.items():
        try:
            calibrator.absorb(shard.evidence)
        except (KeyError, TypeError, ValueError) as error:
            raise CachekitError(f"the evidence in {name!r} is damaged ({error}); calibrate that shard anew") from error
    made = {"command": command, "shards": [_how(shard) for shard in shards.values()], "runs": runs}
    return attrs.evolve(
        first,
        values=calibrator.values(),
        made={**made, **calibrator.figures()},
        evidence=calibrator.evidence(),
    )


def _check_alike(first_name: str, first: Profile, name: str, shard: Profile) -> None:
    for what, theirs, ours in (
        ("strategy", first.strategy, shard.strategy),
        ("model", str(first.model), str(shard.model)),
        ("transformer", first.model.transformer, shard.model.transformer),
        ("sampler", first.sampler, shard.sampler),
        *(_differing_conditions(first, shard)),
    ):
        if theirs != ours:
            raise CachekitError(
                f"{first_name!r} and {name!r} can't be merged: the {what} is {theirs} in one and {ours} in the other"
            )


def _differing_conditions(first: Profile, shard: Profile) -> list[tuple[str, object, object]]:
    assert first.conditions is not None
    assert shard.conditions is not None
    theirs, ours = attrs.asdict(first.conditions), attrs.asdict(shard.conditions)
    return [(name.replace("_", " "), theirs[name], ours[name]) for name in theirs]


def _all_runs(shards: Mapping[str, Profile]) -> list[dict[str, Any]]:
    seen: dict[str, str] = {}
    runs = []
    for name, shard in shards.items():
        for run in shard.made.get("runs", []):
            key = json.dumps(run, sort_keys=True)
            if key in seen:
                raise CachekitError(
                    f"{seen[key]!r} and {name!r} both saw {run.get('prompt')!r} with seed {run.get('seed')}, "
                    "which would count double; calibrate each shard on other prompts or seeds"
                )
            seen[key] = name
            runs.append(run)
    return runs


def _how(shard: Profile) -> dict[str, Any]:
    """How a shard was made, without its runs, which the whole lists."""
    return {key: shard.made[key] for key in ("command", "shards", "device", "dtype", "versions") if key in shard.made}
