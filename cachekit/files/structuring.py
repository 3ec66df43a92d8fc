"""From what a JSON file holds to a typed class: nothing is converted, and nothing of a wrong type gets past."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeVar

import cattrs

from cachekit.files.reading import shortened

T = TypeVar("T")


class WrongTypeError(TypeError):
    """A value of another type than the field's."""


def structure(content: object, kind: type[T]) -> T:
    """`content` as the attrs class `kind`, fields it does not have refused.

    Raises ValueError with every reason.
    """
    converter = _converter()
    try:
        return converter.structure(content, kind)
    except Exception as error:  # cattrs raises what the hooks, the validators and the content's own methods raise
        raise ValueError("; ".join(reasons(error))) from error


def reasons(error: Exception) -> list[str]:
    """What is wrong and where, for each part that is."""
    return [shortened(reason, 200) for reason in cattrs.transform_error(error, format_exception=_told)]


def _told(error: BaseException, kind: type | None) -> str:
    if isinstance(error, KeyError):
        return "a field is missing"
    if isinstance(error, cattrs.ForbiddenExtraKeysError):
        return f"unknown fields: {', '.join(sorted(map(str, error.extra_fields)))}"
    if isinstance(error, (WrongTypeError, ValueError)):
        return str(error.args[0]) if error.args else "invalid value"
    return f"must be {getattr(kind, '__name__', kind)}" if kind is not None else "is of the wrong type"


@lru_cache
def _converter() -> cattrs.Converter:
    converter = cattrs.Converter(forbid_extra_keys=True)
    for kind, name in ((str, "a text"), (bool, "true or false"), (int, "a whole number")):
        converter.register_structure_hook(kind, _exactly(kind, name))
    converter.register_structure_hook(float, _number)
    converter.register_structure_hook_func(lambda kind: kind == dict[str, Any], _mapping)
    return converter


def _exactly(kind: type, name: str) -> Callable[[object, object], Any]:
    def hook(value: object, _: object) -> Any:
        if type(value) is not kind:
            raise WrongTypeError(f"must be {name}, not {shortened(repr(value))}")
        return value

    return hook


def _number(value: object, _: object) -> float:
    if type(value) not in (int, float) or not math.isfinite(value):  # type: ignore[arg-type]
        raise WrongTypeError(f"must be a finite number, not {shortened(repr(value))}")
    return float(value)  # type: ignore[arg-type]


def _mapping(value: object, _: object) -> dict[str, Any]:
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise WrongTypeError(f"must be an object, not {shortened(repr(value))}")
    return value
