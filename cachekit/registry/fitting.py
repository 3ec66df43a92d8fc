"""From a value, or a text that says one, to the type of a field: by cattrs, with nothing converted that is not text."""

from __future__ import annotations

import collections.abc
import inspect
import math
import types
import typing
from functools import lru_cache
from typing import Any

import cattrs

from cachekit.errors import CachekitError
from cachekit.files.reading import parse_json, shortened

NONE = "none"
"""How a text says that there is no value."""


class MisfitError(TypeError):
    """A value of another type than the one wanted."""


def coerce(value: object, wanted: Any, what: str) -> Any:
    """`value` as the type `wanted`: itself where it fits, read where it is text; else a CachekitError naming `what`."""
    try:
        return _converter().structure(value, wanted)
    except Exception as error:  # cattrs raises groups of whatever the types of a stranger's fields raise
        raise CachekitError(f"{what} must be {type_name(wanted)}, not {shortened(repr(value), 200)}") from error


def field_types(kind: type, names: typing.Iterable[str]) -> dict[str, Any]:
    """The type of each field; Any for one that has none, or whose names can't be resolved at run time."""
    try:
        hints = typing.get_type_hints(kind)
    except Exception:  # an annotation is any expression, and one of a stranger's may raise anything
        hints = {name: _resolved(kind, name) for name in names}
    return {name: hints.get(name, Any) for name in names}


def type_name(kind: Any) -> str:
    """A type as people read it: `int or str`, `Sequence[float]`."""
    if _is_union(kind):
        return " or ".join(type_name(option) for option in typing.get_args(kind) if option is not types.NoneType)
    if typing.get_origin(kind) is not None:
        return str(kind).replace("typing.", "").replace("collections.abc.", "")
    return str(getattr(kind, "__name__", kind))


def _resolved(kind: type, name: str) -> Any:
    """The type of one field, from the module of the class that declares it."""
    for owner in kind.__mro__:
        annotations = inspect.get_annotations(owner)
        if name in annotations:
            lone = type("Lone", (), {"__annotations__": {name: annotations[name]}, "__module__": owner.__module__})
            try:
                return typing.get_type_hints(lone)[name]
            except Exception:  # as above
                return Any
    return Any


@lru_cache
def _converter() -> cattrs.Converter:
    converter = cattrs.Converter()
    for kind, fit in ((int, _whole), (float, _number), (bool, _truth), (str, _text), (types.NoneType, _nothing)):
        converter.register_structure_hook(kind, fit)
    converter.register_structure_hook_func(_is_other, _itself)
    converter.register_structure_hook_func(_is_sequence, _sequence)
    converter.register_structure_hook_func(_is_union, _first_that_fits)
    return converter


def _whole(value: object, _: object) -> int:
    value = _read(value)
    if type(value) is not int:
        raise MisfitError
    return value


def _number(value: object, _: object) -> float:
    value = _read(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise MisfitError
    return float(value)


def _truth(value: object, _: object) -> bool:
    value = _read(value)
    if not isinstance(value, bool):
        raise MisfitError
    return value


def _text(value: object, _: object) -> str:
    if not isinstance(value, str):
        raise MisfitError
    return value


def _nothing(value: object, _: object) -> None:
    if value not in (None, NONE):
        raise MisfitError


def _sequence(value: object, wanted: Any) -> Any:
    value = _read(value)
    if hasattr(value, "tolist"):
        value = value.tolist()
    if not isinstance(value, (list, tuple)):
        raise MisfitError
    options = [argument for argument in typing.get_args(wanted) if argument is not Ellipsis] or [Any]
    items = [_converter().structure(item, options[0]) for item in value]
    return tuple(items) if (typing.get_origin(wanted) or wanted) is tuple else items


def _first_that_fits(value: object, wanted: Any) -> Any:
    for option in typing.get_args(wanted):
        try:
            return _converter().structure(value, option)
        except Exception:  # as in `coerce`
            continue
    raise MisfitError


def _itself(value: object, wanted: Any) -> object:
    origin = typing.get_origin(wanted) or wanted
    if wanted is Any or (origin is wanted and not isinstance(wanted, type)):
        return value
    read = _read(value)
    if origin is typing.Literal:
        options = [option for option in (value, read) if option in typing.get_args(wanted)]
        if not options:
            raise MisfitError
        return options[0]
    if not isinstance(origin, type) or not isinstance(read, origin):
        raise MisfitError
    return read


def _read(value: object) -> object:
    """What a text says, as JSON where it is some; other values as they are."""
    if not isinstance(value, str):
        return value
    lowered = value.strip().lower()
    if lowered in ("true", "false"):
        return lowered == "true"
    if lowered in ("nan", "inf", "-inf"):
        return math.nan if lowered == "nan" else float(lowered)
    try:
        read: object = parse_json(value)
    except ValueError:
        return value
    return read


def _is_union(kind: object) -> bool:
    return typing.get_origin(kind) in (typing.Union, types.UnionType)


def _is_sequence(kind: object) -> bool:
    origin: Any = typing.get_origin(kind) or kind
    return origin in (list, tuple, collections.abc.Sequence, collections.abc.Iterable, collections.abc.Collection)


def _is_other(kind: object) -> bool:
    """Whether cattrs is not to look into it: a class that is no plain value, or what is no class at all."""
    plain: tuple[Any, ...] = (int, float, bool, str, types.NoneType)
    return kind not in plain and not _is_union(kind) and not _is_sequence(kind)
