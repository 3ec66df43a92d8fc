"""Standing before the calls of one transformer and of its blocks: on the instances alone, and undone whole."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import attrs

from cachekit.errors import CachekitError

if TYPE_CHECKING:
    from torch import nn
    from torch.utils.hooks import RemovableHandle

Forward = Callable[..., object]
Arguments = tuple[Any, ...]
KeywordArguments = dict[str, Any]


class Listener(Protocol):
    """Who is told of the calls."""

    def begin_forward(self, signature: inspect.Signature, args: Arguments, kwargs: KeywordArguments) -> None:
        """The transformer is called."""

    def end_forward(self) -> None:
        """The transformer returns; not called where it raised."""

    def run_block(self, position: int, forward: Forward, args: Arguments, kwargs: KeywordArguments) -> object:
        """The block at `position` is called: return what it is to return."""


@attrs.define(eq=False)
class InterceptedForward:
    """A block's `forward` while a listener stands before it."""

    listener: Listener
    position: int
    forward: Forward

    def __call__(self, *args: Any, **kwargs: Any) -> object:
        return self.listener.run_block(self.position, self.forward, args, kwargs)


@attrs.define
class Interception:
    """What was put before a transformer's calls, and how to take it away."""

    _hooks: list[RemovableHandle]
    _own_forwards: list[tuple[nn.Module, Forward | None]]
    """Each block, and the `forward` its instance had of its own before (a compiled or offloaded one has)."""

    @classmethod
    def install(cls, transformer: nn.Module, blocks: Sequence[nn.Module], listener: Listener) -> Interception:
        """Stand before `transformer` and `blocks`, given in running order; refused where someone stands there."""
        if any(isinstance(block.__dict__.get("forward"), InterceptedForward) for block in blocks):
            raise CachekitError(
                f"this {type(transformer).__name__} has a session already; detach that one first, or leave its `with`"
            )
        signature = inspect.signature(transformer.forward)

        def before(module: nn.Module, args: Arguments, kwargs: KeywordArguments) -> None:
            listener.begin_forward(signature, args, kwargs)

        def after(module: nn.Module, args: Arguments, output: object) -> None:
            listener.end_forward()

        own_forwards = [(block, block.__dict__.get("forward")) for block in blocks]
        for position, block in enumerate(blocks):
            block.__dict__["forward"] = InterceptedForward(listener, position, block.forward)
        hooks = [
            transformer.register_forward_pre_hook(before, with_kwargs=True),
            transformer.register_forward_hook(after),
        ]
        return cls(hooks, own_forwards)

    def remove(self) -> None:
        """Put everything back."""
        for hook in self._hooks:
            hook.remove()
        for block, own_forward in self._own_forwards:
            del block.__dict__["forward"]
            if own_forward is not None:
                block.__dict__["forward"] = own_forward
