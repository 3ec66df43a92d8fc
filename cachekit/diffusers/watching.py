"""What `enable` puts on a pipeline and its transformers beside the sessions, and takes away again.

Both are methods bound to their instance, so that a copy of it, deep or through a file, gets its own and finds nobody at
work there: a copy is bare.
"""

from __future__ import annotations

import time
import types
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any

import attrs

from cachekit.attaching.interception import standing_before
from cachekit.diffusers.clock import PipelineClock, PipelineRun

if TYPE_CHECKING:
    from torch import nn


def run_on(transformer: nn.Module) -> PipelineRun | None:
    """Where the pipeline that a strategy was enabled on is, from one of its transformers; None where there is none."""
    standing = standing_before(transformer)
    clock = getattr(standing.owner, "clock", None) if standing is not None else None
    return clock.run if isinstance(clock, PipelineClock) else None


def cache_context(transformer: Any, name: str, *args: Any, **kwargs: Any) -> AbstractContextManager[Any]:
    """diffusers' `cache_context`, whose name for the call is noted: it says which guidance branch this is."""
    theirs = type(transformer).cache_context(transformer, name, *args, **kwargs)
    run = run_on(transformer)
    return theirs if run is None else Named(theirs, run, name)


@attrs.define(eq=False)
class Named:
    """Within it the pipeline's calls bear this name. A generator's context would take three times as long."""

    theirs: AbstractContextManager[Any]
    """diffusers' own."""
    run: PipelineRun
    name: str
    _before: str | None = attrs.field(default=None, init=False)

    def __enter__(self) -> Any:
        entered = self.theirs.__enter__()
        self._before, self.run.context = self.run.context, self.name
        return entered

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: types.TracebackType | None,
    ) -> bool | None:
        self.run.context = self._before
        return self.theirs.__exit__(kind, error, traceback)


def maybe_free_model_hooks(pipe: Any) -> None:
    """What every pipeline calls last: the run is over, and what was kept of it is let go of."""
    import torch

    for part in pipe.components.values():
        run = run_on(getattr(part, "_orig_mod", part)) if isinstance(part, torch.nn.Module) else None
        if run is not None and run.pipe is pipe and run.listener is not None:
            run.listener.finish()
    type(pipe).maybe_free_model_hooks(pipe)


@contextmanager
def on_instance(owner: Any, method: Callable[..., Any]) -> Iterator[None]:
    """The method on this instance in place of its class's; where somebody puts another there since, theirs stays."""
    name = method.__name__
    if not hasattr(type(owner), name) or name in owner.__dict__:
        yield
        return
    bound = owner.__dict__[name] = types.MethodType(method, owner)
    try:
        yield
    finally:
        if owner.__dict__.get(name) is bound:
            del owner.__dict__[name]


@attrs.define(eq=False)
class Stopwatch:
    """Seconds from a run's first call to its last; on a GPU by events, which wait for nothing until they are read."""

    _first: Any = None
    _last: Any = None

    def start(self, transformer: nn.Module) -> None:
        device = next(transformer.parameters()).device
        self._first, self._last = moment(device.type), None

    def lap(self) -> None:
        self._last = time.perf_counter() if isinstance(self._first, float) else moment("cuda")

    def seconds(self) -> float | None:
        if self._first is None or self._last is None:
            return None
        if isinstance(self._first, float):
            return float(self._last - self._first)
        self._last.synchronize()
        return float(self._first.elapsed_time(self._last)) / 1000


def moment(device: str) -> Any:
    """Now: on CUDA an event in its stream, else the clock's seconds."""
    if device != "cuda":
        return time.perf_counter()
    import torch

    event = torch.cuda.Event(enable_timing=True)
    event.record()
    return event
