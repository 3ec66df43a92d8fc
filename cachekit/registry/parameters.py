"""Parameters of strategies and predictors: their attrs fields, described, and set from Python or from text."""

from __future__ import annotations

import ast
import hashlib
import inspect
import json
import textwrap
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

import attrs

from cachekit.errors import CachekitError, unknown
from cachekit.files.reading import shortened
from cachekit.registry.fitting import coerce, field_types, type_name

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
    types = parameter_types(kind)
    return [
        Parameter(
            name=field.name,
            type=type_name(types[field.name]),
            default=field.default if _plain_default(field) else None,
            help=str(field.metadata.get("help") or docs.get(field.name, "")),
            measured=bool(field.metadata.get("measured")),
        )
        for field in public_fields(kind)
    ]


def public_fields(kind: type) -> list[attrs.Attribute[Any]]:
    """The fields that are parameters: those that the constructor takes and that are no private state."""
    return [field for field in attrs.fields(kind) if field.init and not field.name.startswith("_")]


def parameter_types(kind: type) -> dict[str, Any]:
    """The type of each parameter, by name."""
    return field_types(kind, [field.name for field in public_fields(kind)])


def parameter_values(holder: object) -> dict[str, object]:
    """The parameters of a strategy or predictor, by name."""
    return {field.name: getattr(holder, field.name) for field in public_fields(type(holder))}


def as_json(values: Mapping[str, object]) -> dict[str, Any]:
    """Parameter values as JSON holds them: lists for tuples; CachekitError for one that it can't hold."""
    content = {}
    for key, value in values.items():
        try:
            content[key] = json.loads(json.dumps(value, allow_nan=False))
        except (TypeError, ValueError, RecursionError, OverflowError):
            raise CachekitError(
                f"the parameter {key} is {shortened(repr(value))}, which no file can record; give a finite number, "
                "a text, or a list of them"
            ) from None
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
    types = parameter_types(kind)
    arguments = {}
    for key, value in values.items():
        if key not in types:
            raise unknown(f"parameter of {name}", key, types)
        arguments[key] = coerce(value, types[key], f"{name}'s {key}")
    aliases = {field.name: field.alias or field.name for field in public_fields(kind)}
    try:
        return kind(**{aliases[key]: value for key, value in arguments.items()})
    except CachekitError:
        raise
    except (TypeError, ValueError) as error:
        raise CachekitError(f"{name}: {_first_sentence(error)}") from error
    except Exception as error:  # the validators of a stranger's fields may raise anything
        raise CachekitError(f"{name} can't be made of these parameters ({type(error).__name__}: {error})") from error


def parse_settings(texts: Iterable[str]) -> dict[str, str]:
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
