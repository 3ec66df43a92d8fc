"""Parameters of strategies and predictors: their attrs fields, described, and set from Python or from text."""

from __future__ import annotations

import ast
import hashlib
import inspect
import json
import math
import sys
import textwrap
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

import attrs

from cachekit.errors import CachekitError, unknown

T = TypeVar("T")

LONGEST = 4000
"""Characters of JSON up to which a record spells a value out: a list for each step does, a matrix does not."""


@attrs.frozen
class Parameter:
    """One parameter as the listings show it."""

    name: str
    type: str
    default: object
    """None where there is none, or where a profile gives it."""
    help: str
    measured: bool
    """Whether a profile fills it."""


def describe_parameters(kind: type) -> list[Parameter]:
    """The parameters of a strategy or predictor class, in the order of its fields."""
    docs = _field_docstrings(kind)
    return [
        Parameter(
            name=field.name,
            type=_type_name(_types(kind).get(field.name, Any)),
            default=field.default if _plain_default(field) else None,
            help=str(field.metadata.get("help") or docs.get(field.name, "")),
            measured=bool(field.metadata.get("measured")),
        )
        for field in public_fields(kind)
    ]


def public_fields(kind: type) -> list[attrs.Attribute[Any]]:
    """The fields that are parameters: those that the constructor takes and that are no private state."""
    return [field for field in attrs.fields(kind) if field.init and not field.name.startswith("_")]


def parameter_values(holder: object) -> dict[str, object]:
    """The parameters of a strategy or predictor, by name."""
    return {field.name: getattr(holder, field.name) for field in public_fields(type(holder))}


def as_json(values: Mapping[str, object]) -> dict[str, Any]:
    """Parameter values as JSON holds them: lists for tuples."""
    content: dict[str, Any] = json.loads(json.dumps(values))
    return content


def as_record(values: Mapping[str, object]) -> dict[str, Any]:
    """Parameter values as a record of what was made holds them: as JSON, one longer than `LONGEST` by its digest."""
    return {
        key: value if len(json.dumps(value)) <= LONGEST else digest(value) for key, value in as_json(values).items()
    }


def digest(value: object) -> str:
    """`sha256:` and the first 16 digits of a JSON value's hash."""
    return f"sha256:{hashlib.sha256(json.dumps(value).encode()).hexdigest()[:16]}"


def build(kind: type[T], name: str, values: Mapping[str, object]) -> T:
    """An object of `kind` (registered as `name`) with these parameter values, each checked; text is read by type.

    Raises CachekitError for an unknown parameter, a value of the wrong type, or one that the field refuses.
    """
    types_by_name = _types(kind)
    known = {field.name for field in public_fields(kind)}
    arguments = {}
    for key, value in values.items():
        if key not in known:
            raise unknown(f"parameter of {name}", key, known)
        arguments[key] = coerce(value, types_by_name.get(key, Any), f"{name}'s {key}")
    try:
        return kind(**arguments)
    except CachekitError:
        raise
    except (TypeError, ValueError) as error:
        raise CachekitError(f"{name}: {_first_sentence(error)}") from error


def coerce(value: object, wanted: Any, what: str) -> Any:
    """`value` as the type `wanted`: itself where it fits, read where it is text; else a CachekitError naming `what`."""
    options = typing.get_args(wanted) if _is_union(wanted) else (wanted,)
    for option in options:
        fitting = _fit(value, option)
        if fitting is not _NO_FIT:
            return fitting
    raise CachekitError(f"{what} must be {_type_name(wanted)}, not {value!r}")


def parse_settings(texts: typing.Iterable[str]) -> dict[str, str]:
    """`name=value` texts, as `--set` takes them, to a mapping."""
    settings: dict[str, str] = {}
    for text in texts:
        name, separator, value = text.partition("=")
        if not separator or not name.strip():
            raise CachekitError(f"{text!r} is no setting; write name=value, such as thresh=0.2")
        if name.strip() in settings:
            raise CachekitError(f"the parameter {name.strip()!r} is set twice; set it once")
        settings[name.strip()] = value.strip()
    return settings


def parse_spec(text: str) -> tuple[str, dict[str, str]]:
    """A name with its fields, `taylor:order=2` or `magcache:thresh=0.1:K=5`, to the name and its settings."""
    name, *settings = text.split(":")
    return name.strip(), parse_settings(settings)


_NO_FIT = object()


def _fit(value: object, wanted: Any) -> object:
    if wanted is Any or (not isinstance(wanted, type | types.GenericAlias) and typing.get_origin(wanted) is None):
        return value
    if wanted is types.NoneType:
        return None if value is None or value == "none" else _NO_FIT
    origin = typing.get_origin(wanted) or wanted
    if origin in (list, tuple) or getattr(origin, "__module__", "") == "collections.abc":
        return _fit_sequence(value, wanted)
    if isinstance(value, str) and wanted is not str:
        value = _read(value)
    if wanted is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if wanted in (int, float) and isinstance(value, bool):
        return _NO_FIT
    if isinstance(wanted, type) and isinstance(value, wanted):
        return value
    return _NO_FIT


def _fit_sequence(value: object, wanted: Any) -> object:
    if isinstance(value, str):
        value = _read(value)
    if hasattr(value, "tolist"):
        value = value.tolist()
    if not isinstance(value, (list, tuple)):
        return _NO_FIT
    arguments = [argument for argument in typing.get_args(wanted) if argument is not Ellipsis]
    items = []
    for item in value:
        options = typing.get_args(arguments[0]) if arguments and _is_union(arguments[0]) else arguments or [Any]
        fitted = next((fit for fit in (_fit(item, option) for option in options) if fit is not _NO_FIT), _NO_FIT)
        if fitted is _NO_FIT:
            return _NO_FIT
        items.append(fitted)
    return tuple(items) if typing.get_origin(wanted) is tuple else items


def _read(text: str) -> object:
    lowered = text.lower()
    if lowered in ("true", "false"):
        return lowered == "true"
    if lowered in ("nan", "inf", "-inf"):
        return math.nan if lowered == "nan" else float(lowered)
    try:
        value: object = json.loads(text)
    except json.JSONDecodeError:
        return text
    return value


def _is_union(kind: object) -> bool:
    return typing.get_origin(kind) in (typing.Union, types.UnionType)


def _types(kind: type) -> dict[str, Any]:
    """The type of each parameter; Any for one whose name can't be resolved at run time."""
    types_by_name: dict[str, Any] = {}
    for field in public_fields(kind):
        owner = next((base for base in kind.__mro__ if field.name in inspect.get_annotations(base)), kind)
        wanted: Any = field.type
        if isinstance(wanted, str):
            try:
                wanted = eval(wanted, dict(vars(sys.modules[owner.__module__])))
            except NameError:
                wanted = Any
        types_by_name[field.name] = Any if wanted is None else wanted
    return types_by_name


def _type_name(kind: Any) -> str:
    if _is_union(kind):
        return " or ".join(_type_name(option) for option in typing.get_args(kind) if option is not types.NoneType)
    if typing.get_origin(kind) is not None:
        return str(kind).replace("typing.", "").replace("collections.abc.", "")
    return {"int": "int", "float": "float", "bool": "bool", "str": "str"}.get(
        getattr(kind, "__name__", ""), getattr(kind, "__name__", str(kind))
    )


def _plain_default(field: attrs.Attribute[Any]) -> bool:
    return field.default is not attrs.NOTHING and not isinstance(field.default, attrs.Factory)  # type: ignore[arg-type]


def _first_sentence(error: Exception) -> str:
    return str(error.args[0]) if error.args else str(error)


def _field_docstrings(kind: type) -> dict[str, str]:
    """The string under each field in the class's source, where there is source."""
    docs: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        try:
            body = ast.parse(textwrap.dedent(inspect.getsource(base))).body[0]
        except (OSError, TypeError, SyntaxError, IndexError):
            continue
        if not isinstance(body, ast.ClassDef):
            continue
        for field, text in zip(body.body, body.body[1:], strict=False):
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(text, ast.Expr):
                value = getattr(text.value, "value", None)
                if isinstance(value, str):
                    docs[field.target.id] = " ".join(value.split())
    return docs
