"""Open-Sora 1.2 and its embedded mini model."""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cachekit.opensora.sampler import RFlowSampler as RFlowSampler
    from cachekit.opensora.stdit3 import STDiT3 as STDiT3
    from cachekit.opensora.stdit3 import STDiT3Config as STDiT3Config

_HOMES = {"RFlowSampler": "sampler", "STDiT3": "stdit3", "STDiT3Config": "stdit3"}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> object:
    """Import what is asked for: the plugin of this room is loaded by commands that run no model."""
    if name not in _HOMES:
        raise AttributeError(f"module 'cachekit.opensora' has no attribute {name!r}")
    return getattr(importlib.import_module(f"cachekit.opensora.{_HOMES[name]}"), name)
