"""What a plugin may register: a class of its kind, under a name that a command line can say."""

from __future__ import annotations

import inspect
import re

import attrs

from cachekit.errors import CachekitError
from cachekit.interface.adapter import Adapter
from cachekit.interface.model import Model
from cachekit.interface.predictor import Predictor
from cachekit.interface.strategy import Strategy

BASES: dict[str, type] = {"strategy": Strategy, "predictor": Predictor, "adapter": Adapter, "model": Model}
"""What a class of each kind is derived from; the evaluator looks at metrics, which this floor knows nothing of."""
HAVE_FIELDS = ("strategy", "predictor", "model")
"""Kinds whose classes are attrs classes."""
NAME = re.compile(r"[^\s:,=/\\\[\]()\x00-\x20]{1,100}")


def check_registration(kind: str, name: object, value: object, profiles: object | None) -> None:
    """Refuse what can't be used: CachekitError that says what to write instead."""
    if not isinstance(name, str) or not NAME.fullmatch(name) or not name.isprintable():
        raise CachekitError(f"the name {name!r} of a {kind} must be a text without spaces, colons, commas or brackets")
    if not isinstance(value, type):
        raise CachekitError(f"the {kind} {name!r} must be a class, not {value!r}")
    base = BASES.get(kind)
    if base is not None and not issubclass(value, base):
        raise CachekitError(f"the {kind} {name!r} must be derived from cachekit.{base.__name__}, not only {value!r}")
    if kind in HAVE_FIELDS and undecorated(value):
        raise CachekitError(f"the {kind} {name!r} has fields and is no attrs class; put @attrs.define on {value!r}")
    if inspect.isabstract(value):
        lacking = ", ".join(sorted(getattr(value, "__abstractmethods__", ())))
        raise CachekitError(f"the {kind} {name!r} lacks {lacking}; define them in {value!r}")
    if profiles is not None and not hasattr(profiles, "iterdir"):
        raise CachekitError(
            f"the profiles of the {kind} {name!r} must be a folder (importlib.resources), not {profiles!r}"
        )


def undecorated(kind: type) -> bool:
    """Whether the class, or one of those it is derived from, has fields that attrs does not know of."""
    return any(
        "__attrs_attrs__" not in vars(owner)
        and any("ClassVar" not in str(a) for a in inspect.get_annotations(owner).values())
        for owner in kind.__mro__
        if owner is not object and any(attrs.has(base) for base in owner.__mro__[1:])
    )
