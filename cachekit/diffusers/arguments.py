"""What a pipeline's call is given, from the words of a command line: `height=480`, `image=cat.png`."""

from __future__ import annotations

import inspect
import math
import re
import typing
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import attrs

from cachekit.diffusers.pictures import frames_of, picture
from cachekit.errors import CachekitError, unknown
from cachekit.files.reading import shortened
from cachekit.generation.bounds import LARGEST_SEED, LARGEST_SIDE, MOST_FRAMES
from cachekit.registry.fitting import NONE, coerce

COMMANDS_OWN = {
    "prompt": "--prompt",
    "num_inference_steps": "--steps",
    "guidance_scale": "--guidance-scale",
    "generator": "--seed",
    "seed": "--seed",
    "num_videos_per_prompt": "--videos-per-prompt",
    "num_images_per_prompt": "--videos-per-prompt",
}
"""Arguments that the commands give, and the option that says them."""
UNCHANGED = (
    *("output_type", "return_dict", "latents", "callback", "callback_steps"),
    *("callback_on_step_end", "callback_on_step_end_tensor_inputs"),
    *("timesteps", "sigmas"),  # another schedule has other steps than --steps says
)
"""Arguments by which the commands get hold of what is made."""
NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


@attrs.frozen
class Bound:
    """The whole numbers that arguments of these names may be."""

    names: str
    low: int
    high: int


BOUNDS = (
    Bound("height|width", 1, LARGEST_SIDE),
    Bound("num_frames|frames|video_length", 1, MOST_FRAMES),
    Bound(".*seed", 0, LARGEST_SEED),
    Bound(".*area", 1, LARGEST_SIDE**2),
    Bound(".*length", 0, 8_192),  # of texts, in tokens: attention's memory goes with its square
    Bound(".*", -1_000_000, 1_000_000),
)
"""The first whose names match."""


def call_arguments(pipeline: type[Any], words: Iterable[str]) -> dict[str, Any]:
    """`name=value` words as arguments of this pipeline's call; CachekitError for what it doesn't take, or lacks."""
    known = call_parameters(pipeline)
    types = argument_types(pipeline)
    given: dict[str, Any] = {}
    for word in words:
        name, equals, value = word.partition("=")
        check_text(name, word)
        if not equals:
            raise CachekitError(f"--pipeline-arg takes name=value, not {shortened(repr(word))}")
        if name in COMMANDS_OWN:
            raise CachekitError(f"--pipeline-arg {name} is the command's own; say it with {COMMANDS_OWN[name]}")
        if name in UNCHANGED:
            raise CachekitError(f"--pipeline-arg {name} is the command's own, and can't be changed; leave it out")
        if name not in known:
            free = set(known) - set(COMMANDS_OWN) - set(UNCHANGED)
            raise unknown(f"argument of {pipeline.__name__}", shortened(name), free)
        if name in given:
            raise CachekitError(f"--pipeline-arg {name} is given twice; give it once")
        given[name] = value_of(value, known[name], types.get(name, Any), pipeline)
    check_complete(pipeline, known, given)
    return given


def call_parameters(pipeline: type[Any]) -> dict[str, inspect.Parameter]:
    """What the pipeline's call takes by name, the pipeline itself left out."""
    taken = inspect.signature(pipeline.__call__).parameters
    return {name: one for name, one in taken.items() if one.kind in NAMED and name != "self"}


def argument_types(pipeline: type[Any]) -> dict[str, Any]:
    """The types of those arguments that say one; as written where names in them can't be resolved."""
    try:
        return typing.get_type_hints(pipeline.__call__)
    except Exception:  # an annotation is any expression
        return {name: one.annotation for name, one in call_parameters(pipeline).items()}


def check_text(name: str, word: str) -> None:
    """Refuse bytes that are no text."""
    try:
        word.encode()
    except UnicodeEncodeError:
        raise CachekitError(
            f"--pipeline-arg {shortened(name)} holds bytes that are no UTF-8; write it in UTF-8"
        ) from None


def check_complete(pipeline: type[Any], known: Mapping[str, inspect.Parameter], given: Mapping[str, Any]) -> None:
    """CachekitError where the call takes no prompt, or needs what nobody gives."""
    if "prompt" not in known:
        raise CachekitError(
            f"{pipeline.__name__} takes no prompt, and the commands make videos and images from prompts; use "
            "`cachekit.enable` in Python"
        )
    missing = [
        name
        for name, one in known.items()
        if one.default is one.empty and name not in given and name not in COMMANDS_OWN
    ]
    if missing:
        raise CachekitError(
            f"{pipeline.__name__} needs {' and '.join(missing)}; give it with --pipeline-arg {missing[0]}=..."
        )


def value_of(word: str, parameter: inspect.Parameter, annotation: Any, pipeline: type[Any]) -> object:
    """The word as the type that the argument says: a picture or video by its file, lists as JSON, none for no value."""
    name, default = parameter.name, parameter.default
    if word.strip().lower() == NONE and (default is None or type(None) in typing.get_args(annotation)):
        return None
    if "Image" in str(annotation):
        return frames_of(name, word) if "video" in name else picture(name, word)
    wanted = annotation
    if isinstance(annotation, str) or annotation in (Any, parameter.empty):
        wanted = type(default) if isinstance(default, (bool, int, float)) else str
    what = f"the argument {name} of {pipeline.__name__}"
    value: object = coerce(word, wanted, what)
    check_numbers(value, name, what)
    return value


def check_numbers(value: object, name: str, what: str) -> None:
    """Refuse numbers that are none or are beyond what an argument of this name can mean, in lists too."""
    bound = next(bound for bound in BOUNDS if re.fullmatch(bound.names, name))
    for number in numbers_in(value):
        if not math.isfinite(number):
            raise CachekitError(f"{what} is {number}; give a finite number")
        if isinstance(number, int) and not bound.low <= number <= bound.high:
            raise CachekitError(f"{what} is {number}; it goes from {bound.low} to {bound.high}")


def numbers_in(value: object) -> Iterator[int | float]:
    """All numbers in a value of JSON's kinds."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        yield value
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from numbers_in(item)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from numbers_in(item)
