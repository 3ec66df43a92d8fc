"""The sizes of the embedded model, as its weights file says them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
from safetensors import SafetensorError, safe_open

from cachekit.errors import CachekitError
from cachekit.files.reading import is_regular, parse_json
from cachekit.files.structuring import structure

LARGEST, DEEPEST = 2**16, 2**10
"""What a size, and a number of layers, may be: far above any model, far below what memory is lost to."""


def within(instance: object, attribute: attrs.Attribute[int], value: int) -> None:
    if not 1 <= value <= (DEEPEST if attribute.name == "depth" else LARGEST):
        raise ValueError(f"{attribute.name} is {value}, which no model has")


@attrs.frozen
class Sizes:
    """What the transformer's architecture is told by."""

    hidden_size: int = attrs.field(validator=within)
    depth: int = attrs.field(validator=within)


def read_config(path: Path) -> dict[str, Any]:
    """The sizes of the three parts, from the metadata of a weights file; nothing else of it is read."""
    if path.exists() and not is_regular(path):
        raise CachekitError(f"{str(path)!r} is no file, so it holds no weights of opensora-mini")
    try:
        with safe_open(str(path), framework="numpy") as file:
            config: dict[str, Any] = parse_json((file.metadata() or {})["config"])
        if not isinstance(config, dict) or not isinstance(config.get("transformer"), dict):
            raise ValueError("its config has no transformer")
    except FileNotFoundError:
        raise CachekitError(
            f"there is no weights file {str(path)!r}; leave --weights out for the shipped one"
        ) from None
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise CachekitError(f"{str(path)!r} is no weights file of opensora-mini, or is damaged ({error})") from error
    return config


def transformer_sizes(path: Path) -> Sizes:
    """The sizes that tell this model from others."""
    transformer = read_config(path)["transformer"]
    said = {name: transformer[name] for name in ("hidden_size", "depth") if name in transformer}
    try:
        return structure(said, Sizes)
    except ValueError as error:
        raise CachekitError(f"the sizes in the weights file {str(path)!r} are damaged: {error}") from error
