"""What attaching costs: steps bare and attached, timed in turn in one process.

A step can be bare, attached and computed, or attached and skipped; the floor of a skipped step is the same forward with
its blocks replaced by nothing.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import TYPE_CHECKING

import attrs

from cachekit.attaching.attach import resolve_adapter, resolve_predictor
from cachekit.attaching.interception import Standing
from cachekit.attaching.session import Session
from cachekit.interface.span import Span
from cachekit.interface.strategy import COMPUTED, SKIPPED, Run, Strategy
from cachekit.registry.plugins import get_plugins

if TYPE_CHECKING:
    from torch import nn

    from cachekit.interface.adapter import Adapter
    from cachekit.interface.progress import Progress

Call = Callable[..., object]
Way = Callable[[], AbstractContextManager[object]]
"""Prepares the transformer for one timed call, and puts it back after."""


@attrs.define
class Alternate(Strategy):
    """Computes the even steps and skips the odd ones."""

    def plan(self, run: Run) -> str:
        return ((COMPUTED + SKIPPED) * run.steps)[: run.steps]


@attrs.frozen
class Timings:
    """Milliseconds of each round, by what was timed; the rounds are paired."""

    rounds: dict[str, list[float]]

    def median(self, what: str) -> float:
        return statistics.median(self.rounds[what])

    def ratio(self, what: str, over: str) -> float:
        """The median of the round-by-round ratios, which a drift of the machine's speed leaves alone."""
        pairs = zip(self.rounds[what], self.rounds[over], strict=True)
        return statistics.median(a / b for a, b in pairs)


def interleave(
    call: Call, ways: Mapping[str, Way], rounds: int, warmup: int = 3, progress: Progress | None = None
) -> Timings:
    """Time `call` in each way, round after round; the order turns so that none is always first.

    `progress` is told of each round, those to warm up among them.
    """
    timings: dict[str, list[float]] = {name: [] for name in ways}
    names = list(ways)
    for number in range(-warmup, rounds):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            with ways[name]():
                start = time.perf_counter()
                call()
                elapsed = time.perf_counter() - start
            if number >= 0:
                timings[name].append(elapsed * 1000)
        if progress is not None:
            progress.step(number + warmup + 1, rounds + warmup)
    return Timings(timings)


@contextmanager
def without_blocks(transformer: nn.Module) -> Iterator[None]:
    """The transformer with its blocks replaced by nothing: each hands on its hidden states."""
    adapter = resolve_adapter(transformer, None, get_plugins())
    span = Span.between(adapter.blocks(transformer))
    standing = [
        Standing.put(block, transformer, partial(absent, adapter, span, position))
        for position, block in enumerate(span.blocks)
    ]
    try:
        yield
    finally:
        for placed in standing:
            placed.remove()


def absent(adapter: Adapter, span: Span, position: int, call: Call) -> Call:
    """What stands before a block that is to do nothing."""

    def enter(*args: object, **kwargs: object) -> object:
        return adapter.pass_through(span, position, args, kwargs)

    return enter


def alternating(transformer: nn.Module, predictor: str = "reuse", steps: int = 2) -> Session:
    """A session that computes the even steps and skips the odd ones."""
    plugins = get_plugins()
    adapter = resolve_adapter(transformer, None, plugins)
    answering = resolve_predictor(predictor, Alternate(), plugins)
    return Session(transformer, adapter, Alternate(), answering, steps, watch=False)


@contextmanager
def before_skip(transformer: nn.Module, call: Call) -> Iterator[None]:
    """Attached, with step 0 computed, so that the next call is skipped."""
    with alternating(transformer):
        call()
        yield


@contextmanager
def before_floor(transformer: nn.Module, call: Call) -> Iterator[None]:
    """Without blocks, after a step with them: as a skipped step is, with the processor's caches full of the blocks."""
    call()
    with without_blocks(transformer):
        yield


def step_timings(transformer: nn.Module, call: Call, rounds: int, progress: Progress | None = None) -> Timings:
    """Timings of `bare`, `computed`, `skipped` and `floor` steps; `call` may go through a compiled `transformer`."""
    ways: dict[str, Way] = {
        "bare": nullcontext,
        "computed": partial(alternating, transformer),
        "skipped": partial(before_skip, transformer, call),
        "floor": partial(before_floor, transformer, call),
    }
    return interleave(call, ways, rounds, progress=progress)


def loop_timings(
    transformer: nn.Module, loop: Call, attached: Way, rounds: int, progress: Progress | None = None
) -> Timings:
    """Timings of a whole denoising loop: `bare`, `attached` to a strategy, and `floor`."""
    ways: dict[str, Way] = {
        "bare": nullcontext,
        "attached": attached,
        "floor": partial(without_blocks, transformer),
    }
    return interleave(loop, ways, rounds, warmup=1, progress=progress)


def loop_ratio(timings: Timings, computed: int, steps: int) -> float:
    """The attached loop over `computed` bare steps and the floor of the others: the median, round by round."""
    ratios = []
    for bare, attached, floor in zip(*(timings.rounds[name] for name in ("bare", "attached", "floor")), strict=True):
        ratios.append(attached / ((computed * bare + (steps - computed) * floor) / steps))
    return statistics.median(ratios)


@attrs.frozen
class Held:
    """What a predictor holds between steps once it has seen all it can use."""

    predictor: str
    bytes: int
    residual_bytes: int


def held_by(transformer: nn.Module, call: Call, predictors: Sequence[str]) -> list[Held]:
    """What each predictor holds in the middle of a run, beside the size of one residual."""
    found = []
    for predictor in predictors:
        with alternating(transformer, predictor, steps=100) as session:
            call()
            one = session.held_bytes
            for _ in range(19):
                call()
            found.append(Held(predictor, session.held_bytes, one))
    return found
