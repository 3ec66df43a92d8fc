"""Profiles: parameters measured on one model, in a JSON file that says how and on what."""

from __future__ import annotations

import hashlib
import json
import re
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from cachekit.errors import CachekitError, CachekitWarning
from cachekit.files.reading import parse_json, read_text
from cachekit.files.structuring import structure
from cachekit.files.writing import write_whole
from cachekit.interface.conditions import Conditions

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

FORMAT = "cachekit-profile/1"


def digest(architecture: Mapping[str, object]) -> str:
    """A short digest of a model's sizes, the same whatever order they come in."""
    text = json.dumps(architecture, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@attrs.frozen
class ProfiledModel:
    """The model that a profile is for: its transformer's class and sizes."""

    transformer: str
    """Class name, such as `STDiT3`."""
    architecture: dict[str, Any]
    """What the adapter reads off the transformer: widths, depth, channels."""
    digest: str = attrs.field()
    """Of the architecture."""
    name: str = ""
    """For people: `Open-Sora 1.2`."""
    requires: dict[str, list[Any]] = attrs.field(factory=dict)
    """What else must hold, trait by trait: the values allowed; of `checkpoint`, patterns of its name."""

    @digest.default
    def _digest(self) -> str:
        return digest(self.architecture)

    def __str__(self) -> str:
        sizes = ", ".join(f"{key} {value}" for key, value in self.architecture.items())
        return f"{self.name or self.transformer} ({sizes})"


@attrs.frozen
class Profile:
    """Parameters of one strategy, measured on one model."""

    strategy: str
    model: ProfiledModel
    values: dict[str, Any]
    """Fields of the strategy, by name."""
    steps: int | None = None
    """Steps of the runs measured; None where the values depend on no step count."""
    guidance_scale: float | None = None
    sampler: str | None = None
    conditions: Conditions | None = None
    """How the runs were made that the evidence is of; None for published numbers."""
    made: dict[str, Any] = attrs.field(factory=dict)
    """How: source or command, runs, figures of the fit."""
    evidence: dict[str, Any] = attrs.field(factory=dict)
    """What the calibrator saw, in the form in which shards add up; empty for published numbers."""

    def save(self, path: Path) -> None:
        """Write the profile, whole or not at all; CachekitError where it holds NaN or the file can't be written."""
        try:
            text = json.dumps({"format": FORMAT, **attrs.asdict(self)}, indent=1, allow_nan=False) + "\n"
        except (ValueError, TypeError, RecursionError, OverflowError):
            raise CachekitError(
                f"the profile of {self.strategy} holds numbers that are not finite, or values that are no JSON, so "
                f"{str(path)!r} was not written; look at the videos of these prompts without a cache"
            ) from None
        write_whole(path, text, "the profile")


def load_profile(source: Path | Traversable) -> Profile:
    """Read a profile; a CachekitError names what is wrong with the file."""
    try:
        content = parse_json(read_text(source))
    except FileNotFoundError:
        raise CachekitError(f"there is no profile {str(source)!r}; make one with `cachekit calibrate`") from None
    except (OSError, ValueError) as error:
        raise CachekitError(f"the profile {str(source)!r} can't be read as JSON ({error}); make it anew") from error
    if not isinstance(content, dict) or content.pop("format", None) != FORMAT:
        raise CachekitError(f"{str(source)!r} is no profile of format {FORMAT}; make one with `cachekit calibrate`")
    try:
        profile = structure(content, Profile)
    except ValueError as error:
        raise CachekitError(f"the profile {str(source)!r} is damaged: {error}") from error
    if profile.model.digest != digest(profile.model.architecture):
        raise CachekitError(f"the profile {str(source)!r} is damaged: its digest is not that of its architecture")
    return profile


def load_folder(folder: Traversable) -> list[Profile]:
    """All profiles in a folder, by file name; none where there is no folder. A damaged one is warned of."""
    profiles = []
    try:
        files = sorted((file for file in folder.iterdir() if file.name.endswith(".json")), key=lambda file: file.name)
    except OSError:
        return []
    for file in files:
        try:
            profiles.append(load_profile(file))
        except CachekitError as error:
            warnings.warn(CachekitWarning(f"{error}; it was passed over"), stacklevel=2)
    return profiles


def check_fits(profile: Profile, strategy: str, transformer: str, architecture: Mapping[str, object]) -> None:
    """Refuse a profile that was made for another strategy or another model."""
    if profile.strategy != strategy:
        raise CachekitError(f"this profile is for the strategy {profile.strategy!r}, not for {strategy!r}")
    if profile.model.digest != digest(architecture):
        here = ProfiledModel(transformer, dict(architecture))
        raise CachekitError(
            f"this profile was made for {profile.model}, not for {here}; "
            f"make one for it with `cachekit calibrate {strategy}`"
        )


def choose_profile(
    profiles: Iterable[Profile], strategy: str, architecture: Mapping[str, object], steps: int
) -> Profile | None:
    """Of the profiles of this strategy and model, the one whose step count is nearest; None where there is none."""
    return surest_profile(profiles, strategy, architecture, steps, {})[0]


def surest_profile(
    profiles: Iterable[Profile],
    strategy: str,
    architecture: Mapping[str, object],
    steps: int,
    traits: Mapping[str, object],
) -> tuple[Profile | None, str]:
    """Of the profiles of this strategy and these sizes the surest by traits, then the nearest in steps; and the doubt.

    None where none fits; the doubt is empty where nothing speaks against the one that does.
    """
    wanted = digest(architecture)
    fitting = [profile for profile in profiles if profile.strategy == strategy and profile.model.digest == wanted]
    judged = ((profile, doubt_about(profile.model, traits)) for profile in fitting)
    left = [(profile, doubt) for profile, doubt in judged if doubt is not None]
    return min(left, key=lambda one: (bool(one[1]), abs((one[0].steps or steps) - steps)), default=(None, ""))


def doubt_about(model: ProfiledModel, traits: Mapping[str, object]) -> str | None:
    """What leaves it open whether a model of these traits is `model`; empty for nothing, None where it is not."""
    checkpoint = traits.get("checkpoint")
    patterns = model.requires.get("checkpoint", [])
    known = checkpoint is not None and any(re.search(pattern, str(checkpoint), re.IGNORECASE) for pattern in patterns)
    for trait, allowed in model.requires.items():
        if trait != "checkpoint" and trait in traits and traits[trait] not in allowed:
            return None
    untold = [trait for trait in model.requires if trait != "checkpoint" and trait not in traits]
    if known or not (patterns or untold):
        return ""
    if not patterns:
        return f"nothing says its {untold[0].replace('_', ' ')}"
    return "nothing says which checkpoint this is" if checkpoint is None else f"this checkpoint is {str(checkpoint)!r}"
