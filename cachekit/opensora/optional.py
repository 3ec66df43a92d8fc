"""Packages that only the real Open-Sora needs, imported when it does."""

from __future__ import annotations

import importlib
from types import ModuleType

from cachekit.errors import CachekitError


def need(module: str) -> ModuleType:
    """The module; a CachekitError that names the extra where it is not installed."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise CachekitError(
            f"Open-Sora needs {module}, which can't be imported here ({error}); "
            "install what it needs with `pip install 'cachekit-dit[opensora]'`"
        ) from error
