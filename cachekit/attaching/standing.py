"""Where a session stands: before the transformer and those of its blocks that the strategy concerns."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from cachekit.attaching.gate import asking_entrance, body_entrance, span_entrance
from cachekit.attaching.interception import Listener, Standing, standing_before, transformer_entrance
from cachekit.errors import CachekitError

if TYPE_CHECKING:
    from torch import nn

    from cachekit.attaching.gate import Gate
    from cachekit.interface.span import Span


def stand(listener: Listener, transformer: nn.Module, span: Span, gate: Gate | None, *, asking: bool) -> list[Standing]:
    """Stand before all that is concerned, or where one can't be stood before, before none.

    Without a gate the transformer's whole call is the span, and no block is stood before. Where nothing says ahead what
    to do at a call, the span's first block asks (`asking`). Raises CachekitError where another session stands there.
    """
    check_free(transformer, span)
    standing = []
    try:
        if gate is not None:
            if span.first > 0:
                standing.append(Standing.put(span.blocks[0], listener, partial(body_entrance, gate)))
            for position in range(span.first, span.last + 1):
                entrance = asking_entrance if asking and position == span.first else span_entrance
                standing.append(Standing.put(span.blocks[position], listener, partial(entrance, gate, position)))
        standing.append(Standing.put(transformer, listener, partial(transformer_entrance, listener)))
    except BaseException:
        for placed in reversed(standing):
            placed.remove()
        raise
    return standing


def check_free(transformer: nn.Module, span: Span) -> None:
    """CachekitError where another session stands before the transformer or a block of it."""
    name = type(transformer).__name__
    if standing_before(transformer):
        raise CachekitError(
            f"this {name} has a session already; detach that one first (`cachekit.detach(model)`), or leave its `with`"
        )
    if any(standing_before(block) for block in span.blocks):
        raise CachekitError(
            f"this {name} shares blocks with another model that has a session; detach that one first, or give this "
            "one copies of the blocks (`copy.deepcopy`)"
        )
