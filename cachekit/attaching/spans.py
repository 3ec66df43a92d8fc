"""Which blocks a strategy skips of a transformer, and whether the adapter offers what it asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cachekit.errors import CachekitError
from cachekit.interface.span import Span

if TYPE_CHECKING:
    from torch import nn

    from cachekit.interface.adapter import Adapter
    from cachekit.interface.strategy import Strategy


def span_of(transformer: nn.Module, adapter: Adapter, strategy: Strategy) -> Span:
    """The blocks that the strategy skips; CachekitError where it leaves none, or where they can't be told apart."""
    name, blocks = type(strategy).__name__, tuple(adapter.blocks(transformer))
    if strategy.scope not in ("body", "forward"):
        raise CachekitError(f"the scope of {name} must be 'body' or 'forward', not {strategy.scope!r}")
    if strategy.branches not in ("own", "first"):
        raise CachekitError(f"branches of {name} must be 'own' or 'first', not {strategy.branches!r}")
    for what, count in (("head", strategy.head), ("tail", strategy.tail)):
        if isinstance(count, bool) or not isinstance(count, int) or count < 0:
            raise CachekitError(f"the {what} of {name} must be a whole number of blocks, not {count!r}")
    if strategy.head + strategy.tail >= len(blocks):
        raise CachekitError(
            f"{name} runs the first {strategy.head} and the last {strategy.tail} blocks on every step, which leaves "
            f"none of the {len(blocks)} blocks of this {type(transformer).__name__} to skip; choose fewer"
        )
    inner = strategy.inner
    first, last = strategy.head, len(blocks) - strategy.tail - 1
    if inner is not None and not first <= inner <= last:
        raise CachekitError(
            f"{name} watches block {inner}, but skips blocks {first} to {last} of this {type(transformer).__name__}; "
            "choose one of them with inner="
        )
    if len({id(block) for block in blocks}) < len(blocks):
        raise CachekitError(
            f"a block stands twice among those that {type(adapter).__name__} names of this "
            f"{type(transformer).__name__}, and its calls can't be told apart; give each place a module of its own"
        )
    return Span.between(blocks, head=strategy.head, tail=strategy.tail)


def check_probes(strategy: Strategy, adapter: Adapter) -> None:
    """Refuse a strategy that asks for a probe the adapter lacks."""
    lacking = [probe for probe in strategy.probes if probe not in adapter.probes]
    if lacking:
        raise CachekitError(
            f"{type(strategy).__name__} asks for the probe {lacking[0]!r}, which {type(adapter).__name__} does not "
            f"offer (it has {', '.join(adapter.probes) or 'none'}); choose another strategy for this model"
        )


def check_same_blocks(transformer: nn.Module, adapter: Adapter, span: Span) -> None:
    """CachekitError where the transformer's blocks are no longer the span's; one that was wrapped since still is."""
    known, now = span.blocks, tuple(adapter.blocks(transformer))
    if now == known:
        return
    kept = [any(old is module for module in new.modules()) for old, new in zip(known, now, strict=False)]
    if len(now) == len(known) and all(kept):
        return
    raise CachekitError(
        f"the blocks of this {type(transformer).__name__} were changed after the session was attached: {len(known)} "
        f"then, {len(now)} now, block {[*kept, False].index(False)} the first that differs; detach and attach anew"
    )
