"""A model by name, with everything looked at that the commands go by: a stranger's may say anything."""

from __future__ import annotations

import math
from collections.abc import Sequence

from cachekit.errors import CachekitError
from cachekit.files.reading import shortened
from cachekit.interface.guard import asking, named
from cachekit.interface.model import Model, Pipeline

WANTED: dict[str, tuple[type | tuple[type, ...], str]] = {
    "transformer_class": (str, "a text"),
    "sampler": (str, "a text"),
    "dtype": (str, "a text"),
    "steps": (int, "a whole number"),
    "guidance_scale": ((int, float), "a number"),
    "example_prompts": ((tuple, list), "a tuple of texts"),
    "calibration_prompts": ((tuple, list), "a tuple of texts"),
}
"""What a model class must say."""


def check_model(model: Model, name: str) -> None:
    """Refuse a model that lacks what the commands read, or says what can't be."""
    for attribute, (kind, words) in WANTED.items():
        with asking(model, attribute):
            value = getattr(model, attribute, None)
        if not isinstance(value, kind) or isinstance(value, bool):
            raise CachekitError(
                f"the model {name!r} must have {attribute}, {words}, not {shortened(repr(value))}; tell its author"
            )
    if model.steps < 1 or not math.isfinite(model.guidance_scale):
        raise CachekitError(f"the model {name!r} says {model.steps} steps and guidance {model.guidance_scale}")
    prompts = [*model.example_prompts, *model.calibration_prompts]
    if not all(isinstance(prompt, str) and prompt for prompt in prompts):
        raise CachekitError(f"the model {name!r} has example prompts that are no texts; tell its author")


def architecture_of(model: Model) -> dict[str, object]:
    """The model's sizes."""
    with asking(model, "architecture"):
        sizes: object = model.architecture()
    if not isinstance(sizes, dict):
        raise CachekitError(f"architecture of {named(model)} must return a dict, not {shortened(repr(sizes))}")
    return sizes


def timesteps_of(model: Model, steps: int) -> tuple[float, ...]:
    """The model's timesteps: finite numbers, one a step."""
    with asking(model, "timesteps"):
        found = model.timesteps(steps)
        values = tuple(found) if isinstance(found, Sequence) else ()
    if len(values) != steps or not all(isinstance(v, (int, float)) and math.isfinite(v) for v in values):
        raise CachekitError(
            f"timesteps of {named(model)} must return {steps} finite numbers, not {shortened(repr(found))}"
        )
    return values


def loaded(model: Model, *, device: str, dtype: str) -> Pipeline:
    """The model's pipeline; CachekitError where it can't be loaded, whatever was raised."""
    with asking(model, "load"):
        pipeline: object = model.load(device=device, dtype=dtype)
    if not isinstance(pipeline, Pipeline):
        raise CachekitError(f"load of {named(model)} must return a cachekit.Pipeline, not {shortened(repr(pipeline))}")
    return pipeline
