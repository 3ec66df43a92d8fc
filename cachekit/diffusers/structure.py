"""The body of a diffusers transformer, read off its modules and their code: its block lists, and what blocks return."""

from __future__ import annotations

import ast
import functools
import inspect
import textwrap
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import attrs

from cachekit.diffusers.families import BODY_LISTS, TEXT_STREAMS, Family, family_of
from cachekit.errors import CachekitError

if TYPE_CHECKING:
    from torch import nn

WRITE_ONE = "write an adapter for it and register it, or give it to `cachekit.attach` as `adapter=`"
"""What to do about an unknown structure; `enable` takes registered adapters alone."""


@attrs.frozen
class Form:
    """How a block takes and returns its streams."""

    parameters: tuple[str, ...]
    returns: tuple[str, ...]
    """The parameters whose changed values it returns, in their order."""

    streams: tuple[str, ...] = attrs.field(init=False)
    """Those that are read after the body; of none such, the block's first parameter."""
    text: tuple[str, ...] = attrs.field(init=False)
    """Those that its own blocks alone read."""
    _places: Mapping[str, int] = attrs.field(init=False)
    """Where each parameter stands."""

    @streams.default
    def _read_after(self) -> tuple[str, ...]:
        return tuple(name for name in self.returns if name not in TEXT_STREAMS) or self.parameters[:1]

    @text.default
    def _read_inside(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for name in self.returns if name in TEXT_STREAMS))

    @_places.default
    def _by_name(self) -> Mapping[str, int]:
        return {name: place for place, name in enumerate(self.parameters)}

    def argument(self, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """An argument of a call, by name or place; None where it was not given."""
        if name in kwargs:
            return kwargs[name]
        place = self._places[name]
        return args[place] if place < len(args) else None


@attrs.frozen
class Body:
    """A transformer's blocks in running order, and each one's form."""

    blocks: tuple[nn.Module, ...]
    forms: tuple[Form, ...]
    lists: tuple[tuple[str, int], ...]
    """Name and length of each list."""
    family: Family
    hinted: tuple[int, ...]
    """Blocks of the last list after which the model adds a hint."""
    transformer: str
    """The class's name."""

    def check_end(self, last: int) -> None:
        """CachekitError where a skipped step can't be answered at the block at position `last`."""
        place = last - (len(self.blocks) - self.lists[-1][1])
        if any(hint >= place for hint in self.hinted):
            raise CachekitError(
                f"this {self.transformer} adds a hint after block {max(self.hinted)} ({self.family.hints}), and a "
                f"skipped step is answered at block {place}, so the hint would be lost; choose a strategy whose span "
                "ends later, or a model whose last block has no hint"
            )


def body_of(transformer: nn.Module) -> Body:
    """The transformer's body; CachekitError, with the reason, where its structure can't be told for sure."""
    transformer = getattr(transformer, "_orig_mod", transformer)
    family = family_of(transformer)
    blocks: list[nn.Module] = []
    forms: list[Form] = []
    lists: list[tuple[str, int]] = []
    for name in family.lists or known_lists(transformer):
        members = in_turn(transformer, name)
        lists.append((name, len(members)))
        for block in members:
            forms.append(form_of(block, family.returns.get(name), type(transformer).__name__))
        blocks.extend(members)
    if not blocks:
        raise CachekitError(
            f"the structure of {type(transformer).__name__} is unknown: it has no list of blocks under a name that "
            f"diffusers uses ({', '.join(BODY_LISTS)}); {WRITE_ONE}"
        )
    hinted = tuple(getattr(transformer.config, family.hints, ())) if family.hints else ()
    body = Body(tuple(blocks), tuple(forms), tuple(lists), family, hinted, type(transformer).__name__)
    body.check_end(len(blocks) - 1)
    return body


def known_lists(transformer: nn.Module) -> list[str]:
    """Names of the transformer's own lists that diffusers' bodies go by, in the order it defines them."""
    return [name for name, child in transformer.named_children() if name in BODY_LISTS and has_length(child)]


def has_length(module: object) -> bool:
    return hasattr(module, "__len__") and len(module) > 0


def in_turn(transformer: nn.Module, name: str) -> list[nn.Module]:
    """The blocks of one list, or of several that run in turn."""
    columns = [list(reached(transformer, path)) for path in name.split("|")]
    return [block for row in zip(*columns, strict=True) for block in row]


def reached(transformer: Any, path: str) -> Sequence[nn.Module]:
    """The list at a path of attributes (of a ModuleDict, keys)."""
    return functools.reduce(getattr, path.split("."), transformer)


def form_of(block: nn.Module, told: tuple[str, ...] | None, transformer: str) -> Form:
    """A block's form: as its family's line, its own code or diffusers' registry says, in this order."""
    kind: Any = type(getattr(block, "_orig_mod", block))
    parameters = parameters_of(kind)
    found = told or returned_by(kind) or registered(kind)
    if found is None or not parameters:
        raise CachekitError(
            f"the structure of {transformer} is unknown: it can't be told which of its arguments a {kind.__name__} "
            f"returns; {WRITE_ONE}"
        )
    return Form(parameters, found)


@lru_cache
def parameters_of(kind: Any) -> tuple[str, ...]:
    """What a block class's forward calls its parameters."""
    return tuple(inspect.signature(kind.forward).parameters)[1:]


@lru_cache
def returned_by(kind: Any) -> tuple[str, ...] | None:
    """The parameters that a block class's code returns, in their order; None where it does not say so.

    A tuple of names that are parameters says it; one value alone is the first parameter, changed. Where ways out
    differ in number, the code does not say.
    """
    parameters = parameters_of(kind)
    try:
        source = textwrap.dedent(inspect.getsource(inspect.unwrap(kind.forward)))
        function = ast.parse(source).body[0]
    except (OSError, TypeError, SyntaxError, IndexError):
        return None
    ways = set()
    for value in returned_values(function):
        if isinstance(value, ast.Tuple):
            names = tuple(item.id for item in value.elts if isinstance(item, ast.Name))
            if len(names) == len(value.elts) and set(names) <= set(parameters):
                ways.add(names)
            elif len(value.elts) != len(names):
                return None
        elif isinstance(value, ast.Call):
            called = value.func
            if isinstance(called, ast.Attribute) and isinstance(called.value, ast.Name) and called.value.id == "self":
                return None
            ways.add(parameters[:1])
        else:
            ways.add(parameters[:1])
    return ways.pop() if len(ways) == 1 else None


def returned_values(function: ast.AST) -> list[ast.expr]:
    """What a function returns, the functions inside it left out."""
    values = []
    for child in ast.iter_child_nodes(function):
        if isinstance(child, ast.Return):
            values += [child.value] if child.value is not None else []
        elif not isinstance(child, (ast.FunctionDef, ast.Lambda, ast.ClassDef)):
            values += returned_values(child)
    return values


def registered(kind: Any) -> tuple[str, ...] | None:
    """What diffusers' registry says that a block class returns; None where it knows neither it nor a parent."""
    from diffusers.hooks._helpers import TransformerBlockRegistry

    parameters = parameters_of(kind)
    for parent in kind.__mro__:
        try:
            known = TransformerBlockRegistry.get(parent)
        except ValueError:
            continue
        image, text = known.hidden_states_argument_name, known.encoder_hidden_states_argument_name
        image = image if image in parameters else parameters[0]
        if known.return_encoder_hidden_states_index is None:
            return (image,)
        return (image, text) if known.return_hidden_states_index == 0 else (text, image)
    return None
