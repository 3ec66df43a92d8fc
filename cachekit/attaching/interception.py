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


def entrance(block: nn.Module) -> str:
    """The attribute through which a call of the block goes: its own compiled call after `block.compile()`."""
    return "_compiled_call_impl" if block.__dict__.get("_compiled_call_impl") is not None else "forward"


@attrs.define
class Interception:
    """What was put before a transformer's calls, and how to take it away."""

    _hooks: list[RemovableHandle]
    _own: list[tuple[nn.Module, str, Forward | None]]
    """Each block, its entrance, and what its instance had there of its own (a compiled or offloaded one has)."""

    @classmethod
    def install(cls, transformer: nn.Module, blocks: Sequence[nn.Module], listener: Listener) -> Interception:
        """Stand before `transformer` and `blocks`, given in running order; refused where someone stands there."""
        if any(isinstance(block.__dict__.get(entrance(block)), InterceptedForward) for block in blocks):
            raise CachekitError(
                f"this {type(transformer).__name__} has a session already; detach that one first, or leave its `with`"
            )
        signature = inspect.signature(transformer.forward)

        def before(module: nn.Module, args: Arguments, kwargs: KeywordArguments) -> None:
            listener.begin_forward(signature, args, kwargs)

        def after(module: nn.Module, args: Arguments, output: object) -> None:
            listener.end_forward()

        own = [(block, entrance(block), block.__dict__.get(entrance(block))) for block in blocks]
        for position, (block, name, _) in enumerate(own):
            block.__dict__[name] = InterceptedForward(listener, position, getattr(block, name))
        hooks = [
            transformer.register_forward_pre_hook(before, with_kwargs=True),
            transformer.register_forward_hook(after),
        ]
        return cls(hooks, own)

    def remove(self) -> None:
        """Put everything back."""
        for hook in self._hooks:
            hook.remove()
        for block, name, own in self._own:
            del block.__dict__[name]
            if own is not None:
                block.__dict__[name] = own
