"""What a session has decided for the call in progress, and what the span's blocks do about it.

These functions run in place of the blocks' calls, inside the transformer's forward; where that is compiled they are
traced into its graph. So they read plain values and write tensors, and whatever needs a run's state is asked outside.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import attrs
import torch

from cachekit.attaching.interception import never_compile
from cachekit.errors import CachekitError
from cachekit.interface.residuals import add, cast, clone, dtypes, in_rows, same_shapes, streams, subtract

if TYPE_CHECKING:
    from cachekit.interface.adapter import Adapter
    from cachekit.interface.residuals import Residual
    from cachekit.interface.span import Span

Forward = Callable[..., Any]
Arguments = tuple[Any, ...]
KeywordArguments = dict[str, Any]


@attrs.define(eq=False)
class Entered:
    """What the body was entered with: the first block's arguments, for probes."""

    hidden: Residual
    args: Arguments
    kwargs: KeywordArguments


@attrs.define(eq=False)
class Gate:
    """The decision for one call of the transformer on its way in, the span's residual on its way out."""

    adapter: Adapter
    span: Span
    bare: bool = True
    """Whether the blocks are the bare model's: between calls, in a foreign call, while paused."""
    begin_unseen: Callable[[], bool] | None = None
    """Asked where the span is entered though no call has begun: the transformer's forward was called past its
    entrance. Whether it is a call of the run all the same, which then ends with the span (`end_unseen`)."""
    end_unseen: Callable[[], None] | None = None
    unseen: bool = False
    ahead: bool = False
    """Whether decision and prediction were made before the call; else `decide` is asked at the span."""
    skipping: bool = False
    prediction: Residual | None = None
    keep: bool = True
    """Whether a computed step's residual is wanted."""
    decide: Callable[[Gate], None] | None = None
    ask: Callable[[int, Arguments, KeywordArguments], None] | None = None
    """`enter`, out of dynamo's sight."""
    dtypes: tuple[torch.dtype, ...] | None = None
    """Of the span's output, stream by stream, where the run has seen it."""
    given: tuple[torch.dtype, ...] | None = None
    """Of its input, when the residuals kept were computed."""

    entered: Entered | None = None
    hidden: Residual | None = None
    """The span's input, once it is entered."""
    left: int = 0
    """How often the span's last block was reached in this call."""
    misfit: bool = False
    """Whether a skip became a computed step, since the prediction is of other shapes."""
    residual: Residual | None = None
    inner: int | None = None
    """Position of a block whose own residual is wanted on computed steps."""
    inner_residual: Residual | None = None
    versions: tuple[int, ...] = ()

    def open(self, *, ahead: bool, skipping: bool, prediction: Residual | None, keep: bool) -> None:
        """A call of the transformer begins."""
        self.bare, self.ahead, self.skipping, self.prediction, self.keep = False, ahead, skipping, prediction, keep
        self.left, self.misfit = 0, False

    def opened_unseen(self) -> bool:
        """Whether a call begins with the span, since none has with the transformer."""
        self.unseen = self.begin_unseen is not None and self.begin_unseen()
        return self.unseen

    def close(self) -> None:
        """It is over: let go of all that it brought."""
        self.bare, self.unseen = True, False
        self.entered = self.hidden = self.prediction = self.residual = self.inner_residual = None

    def enter(self, position: int, args: Arguments, kwargs: KeywordArguments) -> None:
        """The first of the span's blocks that this call runs is reached."""
        hidden = self.adapter.hidden(self.span, position, args, kwargs)
        if self.adapter.clone_hidden:
            hidden = clone(hidden)
        self.hidden = hidden
        if self.skipping and self.prediction is not None:  # decided ahead, so nobody asks what was entered
            if self.fits(hidden, self.prediction):
                return
            self.skipping, self.misfit = False, True
        compiling = torch.compiler.is_compiling()
        if not compiling and self.keep:
            self.versions = versions(hidden)
        if self.entered is None and not (self.ahead and (compiling or not self.keep)):
            self.entered = Entered(hidden, args, kwargs)
        if not self.ahead:
            assert self.decide is not None
            self.decide(self)

    def fits(self, hidden: Residual, prediction: Residual) -> bool:
        """Whether what the span is given is of the kind that the prediction was made for."""
        return same_shapes(hidden, prediction) and dtypes(hidden) == self.given

    def watched(self, position: int, call: Forward, args: Arguments, kwargs: KeywordArguments) -> Any:
        """Run the block inside whose own residual is wanted."""
        hidden = self.adapter.hidden(self.span, position, args, kwargs)
        if self.adapter.clone_hidden:
            hidden = clone(hidden)
        returned = call(*args, **kwargs)
        self.inner_residual = subtract(self.adapter.output(self.span, returned, hidden), hidden)
        return returned

    def leave(self, returned: Any) -> None:
        """The span's last block has computed."""
        self.left += 1
        compiling = torch.compiler.is_compiling()
        if not compiling and not self.keep:
            return
        assert self.hidden is not None
        if not compiling and versions(self.hidden) != self.versions:
            raise CachekitError(
                "a block wrote into the hidden states it was given, so the residual is lost; "
                "set `clone_hidden = True` on the adapter of this model"
            )
        output = self.adapter.output(self.span, returned, self.hidden)
        self.residual = subtract(output, self.hidden)
        self.dtypes = dtypes(output)

    def answer(self, args: Arguments, kwargs: KeywordArguments) -> object:
        """What the span's last block returns on a skipped step."""
        assert self.hidden is not None
        assert self.prediction is not None
        self.left += 1
        if torch.is_grad_enabled() and any(stream.requires_grad for stream in streams(self.hidden)):
            raise CachekitError(
                "gradients are wanted on a skipped step, where no block runs that could give them; generate under "
                "torch.no_grad(), or train within `session.paused()`"
            )
        output = add(self.hidden, self.prediction)
        if self.dtypes is not None:
            output = cast(output, self.dtypes)
        if torch.compiler.is_compiling():
            output = in_rows(output)
        self.hidden = None  # nobody asks for it any more, and a compiled forward that returned it would write it out
        return self.adapter.answer(self.span, args, kwargs, output)


def body_entrance(gate: Gate, call: Forward) -> Forward:
    """What stands before the body's first block where that is no block of the span: it notes what it is given."""

    def enter(*args: Any, **kwargs: Any) -> Any:
        if not gate.bare and not (gate.ahead and torch.compiler.is_compiling()):
            gate.entered = Entered(gate.adapter.hidden(gate.span, 0, args, kwargs), args, kwargs)
        return call(*args, **kwargs)

    return enter


def span_entrance(gate: Gate, position: int, call: Forward) -> Forward:
    """What stands before a block of the span."""
    last, watched = position == gate.span.last, position == gate.inner

    def enter(*args: Any, **kwargs: Any) -> Any:
        if gate.bare and (torch.compiler.is_compiling() or position != gate.span.first or not gate.opened_unseen()):
            return call(*args, **kwargs)
        if gate.hidden is None:
            gate.enter(position, args, kwargs)
        if not gate.skipping:
            returned = gate.watched(position, call, args, kwargs) if watched else call(*args, **kwargs)
            if last:
                gate.leave(returned)
        elif last:
            returned = gate.answer(args, kwargs)
        else:
            return gate.adapter.pass_through(gate.span, position, args, kwargs)
        if last and gate.unseen and gate.end_unseen is not None:
            gate.end_unseen()
        return returned

    return enter


def asking_entrance(gate: Gate, position: int, call: Forward) -> Forward:
    """What stands before the span's first block where the strategy is asked there: one break in a compiled model."""
    inside = span_entrance(gate, position, call)

    def enter(*args: Any, **kwargs: Any) -> Any:
        if not gate.bare and not gate.ahead and gate.hidden is None:
            assert gate.ask is not None
            gate.ask(position, args, kwargs)
        return inside(*args, **kwargs)

    never_compile(enter)
    return enter


def versions(hidden: Residual) -> tuple[int, ...]:
    """How often each stream has been written to; 0 in inference mode, where torch does not count."""
    if not isinstance(hidden, tuple):
        return (0 if hidden.is_inference() else hidden._version,)
    return tuple(0 if stream.is_inference() else stream._version for stream in streams(hidden))
