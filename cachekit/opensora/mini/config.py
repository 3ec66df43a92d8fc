"""The sizes of the embedded model, as its weights file says them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from cachekit.errors import CachekitError


def read_config(path: Path) -> dict[str, Any]:
    """The sizes of the three parts, from the metadata of a weights file; nothing else of it is read."""
    try:
        with safe_open(str(path), framework="numpy") as file:
            config: dict[str, Any] = json.loads((file.metadata() or {})["config"])
    except FileNotFoundError:
        raise CachekitError(
            f"there is no weights file {str(path)!r}; leave --weights out for the shipped one"
        ) from None
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise CachekitError(f"{str(path)!r} is no weights file of opensora-mini, or is damaged ({error})") from error
    return config
