"""Calling a stranger's code: what it raises becomes one sentence that names it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from cachekit.errors import CachekitError


@contextmanager
def asking(owner: object, method: str) -> Iterator[None]:
    """Turn whatever `owner.method` raises in this block into a CachekitError that names both; its own pass."""
    try:
        yield
    except CachekitError:
        raise
    except Exception as error:  # a stranger's code may raise anything
        raise CachekitError(
            f"{method} of {named(owner)} failed ({type(error).__name__}: {error}); tell its author, or use another"
        ) from error


def named(owner: object) -> str:
    """The class of an object, or the class itself, with the module that it comes from."""
    kind = owner if isinstance(owner, type) else type(owner)
    return f"{kind.__name__} ({kind.__module__})"
