"""What attaching costs: steps bare and attached, timed in turn in one process.

A step can be bare, attached and computed, or attached and skipped; the floor of a skipped step is the same forward with
its blocks replaced by nothing. Each way has a copy of the model to itself, all of one set of weights, so that nothing
is attached or compiled between the timings and many short rounds fit into little time.
"""

from __future__ import annotations

import copy
import ctypes
import math
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import partial
from typing import TYPE_CHECKING

import attrs
import torch

from cachekit.attaching.attach import resolve_adapter, resolve_predictor
from cachekit.attaching.interception import Standing
from cachekit.attaching.session import Session
from cachekit.errors import CachekitError
from cachekit.interface.span import Span
from cachekit.interface.strategy import COMPUTED, SKIPPED, Run, Strategy
from cachekit.registry.plugins import get_plugins

if TYPE_CHECKING:
    from torch import nn

    from cachekit.interface.adapter import Adapter

Call = Callable[..., object]
Way = Callable[[], AbstractContextManager[object]]
"""Prepares for one timed call, and puts back after."""
Told = Callable[[int, int], None]

WARM_UP = 3
"""Rounds before the first that counts."""
SKIPS = 5
"""Rounds of skipped steps for each of computed ones, which take so much longer."""
DISPLACED = 2**26
"""Bytes written before a first skipped step is timed: more than processors' caches hold, as the blocks' weights are."""


M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Of glibc's malloc.h."""
LARGEST, UNUSED = 2**25, 2**30
"""Bytes that a block of the heap's may have, and the heap's unused end, and still stay with the process."""


def keep_freed_memory() -> bool:
    """Have the C library keep what is freed, for the rest of the process; False where it can't be told.

    glibc gives large blocks back to the system and fetches them again, page by page, at the next step: one to three
    percent of a step on a CPU, bare or attached, and by chance of how the heap lies more of the one or the other.
    Allocators that servers use keep theirs, and so does torch's on a GPU.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return all([mallopt(M_MMAP_THRESHOLD, LARGEST), mallopt(M_TRIM_THRESHOLD, UNUSED)])


@attrs.define
class Planned(Strategy):
    """Plans the pattern it is given."""

    pattern: str

    def plan(self, run: Run) -> str:
        return self.pattern


@attrs.frozen
class Ratio:
    """A median of paired ratios, and the bounds between which the true one lies in 95 of 100 cases."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.median:.3f} ({self.low:.3f} to {self.high:.3f})"


@attrs.frozen
class Timings:
    """Milliseconds of each round, by what was timed; the rounds are paired."""

    rounds: dict[str, list[float]]

    def median(self, what: str) -> float:
        return statistics.median(self.rounds[what])

    def ratio(self, what: str, over: str) -> Ratio:
        """The median of the round-by-round ratios, which a drift of the machine's speed leaves alone.

        The bounds are the order statistics that a binomial distribution gives for a median.
        """
        pairs = zip(self.rounds[what], self.rounds[over], strict=True)
        ratios = sorted(a / b for a, b in pairs)
        reach = 1.96 * math.sqrt(len(ratios)) / 2
        middle = (len(ratios) - 1) / 2
        low, high = max(0, math.floor(middle - reach)), min(len(ratios) - 1, math.ceil(middle + reach))
        return Ratio(statistics.median(ratios), ratios[low], ratios[high])


def interleave(
    calls: Mapping[str, tuple[Call, Way]], rounds: int, warmup: int = WARM_UP, told: Told | None = None
) -> Timings:
    """Time each call, in its way, round after round; the order turns so that none is always first.

    `told` hears after each round how many are done and of how many, those to warm up among them.
    """
    timings: dict[str, list[float]] = {name: [] for name in calls}
    names = list(calls)
    for number in range(-warmup, rounds):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            call, way = calls[name]
            with way():
                start = time.perf_counter()
                call()
                elapsed = time.perf_counter() - start
            if number >= 0:
                timings[name].append(elapsed * 1000)
        if told is not None:
            told(number + warmup + 1, rounds + warmup)
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


def planned(transformer: nn.Module, pattern: str, predictor: str = "reuse") -> Session:
    """A session that counts its calls and does what the pattern says."""
    plugins = get_plugins()
    adapter, strategy = resolve_adapter(transformer, None, plugins), Planned(pattern)
    answering = resolve_predictor(predictor, strategy, plugins)
    return Session(transformer, adapter, strategy, answering, len(pattern), watch=False)


def twin(transformer: nn.Module) -> nn.Module:
    """A copy of the modules that has the same tensors."""
    shared = [*transformer.parameters(), *transformer.buffers()]
    return copy.deepcopy(transformer, {id(tensor): tensor for tensor in shared})


@contextmanager
def displaced(scratch: torch.Tensor) -> Iterator[None]:
    """What was lately used is out of the processor's caches, as it is after a computed step."""
    scratch.add_(1)
    if scratch.is_cuda:
        torch.cuda.synchronize()
    yield


def step_timings(
    transformer: nn.Module,
    computing: Callable[[nn.Module], object],
    skipping: Callable[[nn.Module], object],
    rounds: int,
    prepare: Callable[[nn.Module], nn.Module] = lambda module: module,
    told: Told | None = None,
) -> Timings:
    """Timings of `bare` and `computed` steps, paired, and of `skipped` and `floor` ones; `prepare` compiles or not.

    A skipped step finds in the processor's caches what another just before it used; the `first skipped` of a stretch
    comes after a computed step, which leaves nothing there, not the residual either (`first floor` beside it).
    `again` are bare steps of a copy, whose ratio to `bare` is 1 but for what the timing itself brings in.
    `computing` and `skipping` call the model, perhaps with latents of different sizes, and wait for the GPU where there
    is one. Each computed step's residual is kept, as for a step to be skipped.
    """
    attached, hollow, other = twin(transformer), twin(transformer), twin(transformer)
    bare, ours, floor, again = (prepare(module) for module in (transformer, attached, hollow, other))
    with planned(attached, COMPUTED * (WARM_UP + rounds) + SKIPPED):
        computed = interleave(
            {
                "bare": (partial(computing, bare), nullcontext),
                "computed": (partial(computing, ours), nullcontext),
                "again": (partial(computing, again), nullcontext),
            },
            rounds,
            told=told,
        )
    device = next(transformer.parameters()).device
    displace = partial(displaced, torch.zeros(DISPLACED // 4, device=device))
    skips, hollowed = partial(skipping, ours), partial(skipping, floor)
    with planned(attached, COMPUTED + SKIPPED * 2 * (WARM_UP + SKIPS * rounds)), without_blocks(hollow):
        skips()
        skipped = interleave(
            {"skipped": (skips, nullcontext), "floor": (hollowed, nullcontext)}, SKIPS * rounds, told=told
        )
        first = interleave(
            {"first skipped": (skips, displace), "first floor": (hollowed, displace)}, SKIPS * rounds, told=told
        )
    return Timings({**computed.rounds, **skipped.rounds, **first.rounds})


def loop_timings(
    transformers: Sequence[nn.Module], loop: Call, attached: Way, rounds: int, told: Told | None = None
) -> Timings:
    """Timings of a whole denoising loop over these transformers: `bare`, `attached` to a strategy, and `floor`."""

    @contextmanager
    def floor() -> Iterator[None]:
        with ExitStack() as stack:
            for transformer in transformers:
                stack.enter_context(without_blocks(transformer))
            yield

    ways: dict[str, tuple[Call, Way]] = {
        "bare": (loop, nullcontext),
        "attached": (loop, attached),
        "floor": (loop, floor),
    }
    return interleave(ways, rounds, warmup=1, told=told)


def loop_ratio(timings: Timings, computed: int, steps: int) -> float:
    """The attached loop over `computed` bare steps and the floor of the others: the median, round by round."""
    ratios = []
    for bare, attached, floor in zip(*(timings.rounds[name] for name in ("bare", "attached", "floor")), strict=True):
        ratios.append(attached / ((computed * bare + (steps - computed) * floor) / steps))
    return statistics.median(ratios)


class SeenError(Exception):
    """The call that was waited for has been seen."""


def first_call(transformer: nn.Module, run: Call) -> tuple[tuple[object, ...], dict[str, object]]:
    """What `run` calls this transformer with first; it goes no further."""
    seen: list[tuple[tuple[object, ...], dict[str, object]]] = []

    def stop(module: nn.Module, args: tuple[object, ...], kwargs: dict[str, object]) -> None:
        seen.append((args, kwargs))
        raise SeenError

    handle = transformer.register_forward_pre_hook(stop, with_kwargs=True)
    try:
        run()
    except SeenError:
        pass
    finally:
        handle.remove()
    if not seen:
        raise CachekitError(f"a run of this model does not call its {type(transformer).__name__}")
    return seen[0]


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
        with planned(transformer, (COMPUTED + SKIPPED) * 50, predictor) as session:
            call()
            one = session.held_bytes
            for _ in range(19):
                call()
            found.append(Held(predictor, session.held_bytes, one))
    return found
