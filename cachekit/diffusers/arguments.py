"""What a pipeline's call is given, from the words of a command line: `height=480`, `image=cat.png`."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

from cachekit.errors import CachekitError, unknown

COMMANDS_OWN = {
    "prompt": "--prompt",
    "num_inference_steps": "--steps",
    "guidance_scale": "--guidance-scale",
    "generator": "--seed",
    "num_videos_per_prompt": "--videos-per-prompt",
    "num_images_per_prompt": "--videos-per-prompt",
}
"""Arguments that the commands give, and the option that says them."""
UNCHANGED = ("output_type", "return_dict", "callback_on_step_end", "callback_on_step_end_tensor_inputs", "latents")
"""Arguments by which the commands get hold of what is made."""


def call_arguments(pipeline: type[Any], words: Iterable[str]) -> dict[str, Any]:
    """`name=value` words as arguments of this pipeline's call; CachekitError for what it doesn't take, or lacks."""
    known = inspect.signature(pipeline.__call__).parameters
    given: dict[str, Any] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise CachekitError(f"--pipeline-arg takes name=value, not {word!r}")
        if name in COMMANDS_OWN:
            raise CachekitError(f"--pipeline-arg {name} is the command's own; say it with {COMMANDS_OWN[name]}")
        if name in UNCHANGED:
            raise CachekitError(f"--pipeline-arg {name} is the command's own, and can't be changed; leave it out")
        if name not in known:
            raise unknown(f"argument of {pipeline.__name__}", name, [one for one in known if one != "self"])
        if name in given:
            raise CachekitError(f"--pipeline-arg {name} is given twice; give it once")
        given[name] = value_of(name, value, known[name], pipeline)
    check_complete(pipeline, known, given)
    return given


def check_complete(pipeline: type[Any], known: Mapping[str, inspect.Parameter], given: Mapping[str, Any]) -> None:
    """CachekitError where the call takes no prompt, or needs what nobody gives."""
    if "prompt" not in known:
        raise CachekitError(
            f"{pipeline.__name__} takes no prompt, and the commands make videos and images from prompts; use "
            "`cachekit.enable` in Python"
        )
    needed = [
        name
        for name, one in known.items()
        if one.default is one.empty and one.kind is one.POSITIONAL_OR_KEYWORD and name not in ("self", "prompt")
    ]
    missing = [name for name in needed if name not in given and name not in COMMANDS_OWN]
    if missing:
        raise CachekitError(
            f"{pipeline.__name__} needs {' and '.join(missing)}; give it with --pipeline-arg {missing[0]}=..."
        )


def value_of(name: str, word: str, parameter: inspect.Parameter, pipeline: type[Any]) -> object:
    """A number, a truth value or none, as a command line says it; a picture or video by its file, else a text."""
    lowered, kind = word.strip().lower(), str(parameter.annotation)
    if lowered in ("true", "false"):
        return lowered == "true"
    if lowered == "none":
        return None
    if "Image" in kind:
        return frames_of(name, word) if "video" in name else picture(name, word)
    numbers = (float,) if "float" in kind else (int,) if "int" in kind else (int, float)
    for number in numbers:
        try:
            return number(word)
        except ValueError:
            continue
    if "str" not in kind and "Literal" not in kind and parameter.annotation is not parameter.empty:
        raise CachekitError(f"the argument {name} of {pipeline.__name__} is {kind_of(parameter)}, not {word!r}")
    return word


def kind_of(parameter: inspect.Parameter) -> str:
    """An annotation in words."""
    annotation = parameter.annotation
    return annotation.__name__ if isinstance(annotation, type) else str(annotation).replace("typing.", "")


def picture(name: str, file: str) -> Any:
    """The picture in a file."""
    from PIL import Image

    try:
        with Image.open(file) as opened:
            return opened.convert("RGB")
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise CachekitError(
            f"--pipeline-arg {name} takes a picture's file, and {file!r} can't be read as one ({type(error).__name__})"
        ) from error


def frames_of(name: str, file: str) -> list[Any]:
    """The frames of a video's file, as pictures."""
    import av

    try:
        with av.open(file) as container:
            return [frame.to_image() for frame in container.decode(video=0)]
    except (OSError, ValueError, IndexError) as error:  # av's own errors are OSErrors or ValueErrors
        raise CachekitError(
            f"--pipeline-arg {name} takes a video's file, and {file!r} can't be read as one ({type(error).__name__})"
        ) from error
