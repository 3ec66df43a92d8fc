"""The span: the blocks that a strategy skips, as adapter and session speak of them."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import attrs

from cachekit.errors import CachekitError

if TYPE_CHECKING:
    from torch import nn


@attrs.frozen(eq=False)
class Span:
    """The blocks from `first` to `last` of a body; positions count from 0 in the body's running order."""

    blocks: tuple[nn.Module, ...]
    """All of the body."""
    first: int
    last: int
    names: tuple[tuple[str, ...], ...]
    """Of each block, what its forward calls its parameters, in their order."""

    @classmethod
    def between(cls, blocks: Sequence[nn.Module], *, head: int = 0, tail: int = 0) -> Span:
        """The body's blocks without its first `head` and its last `tail`."""
        return cls(tuple(blocks), head, len(blocks) - 1 - tail, tuple(map(parameter_names, blocks)))

    @property
    def reaches_end(self) -> bool:
        """Whether it holds the body's last block, so that what it hands on goes to the model's final layer."""
        return self.last == len(self.blocks) - 1

    def argument(self, position: int, place: int, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """An argument of the block at `position`: by place where it was given so, else by its parameter's name."""
        if len(args) > place:
            return args[place]
        names = self.names[position]
        if place < len(names) and names[place] in kwargs:
            return kwargs[names[place]]
        raise CachekitError(
            f"block {position}, a {type(self.blocks[position]).__name__}, was called without its argument {place} "
            f"({', '.join(names[place : place + 1]) or 'it has no such parameter'}); "
            "this adapter does not fit the model"
        )


def parameter_names(block: nn.Module) -> tuple[str, ...]:
    """What the block's forward calls its parameters; of a compiled block, the one inside."""
    return tuple(inspect.signature(getattr(block, "_orig_mod", block).forward).parameters)
