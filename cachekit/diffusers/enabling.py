"""`enable` and `disable`: a strategy at work on a whole diffusers pipeline, call after call."""

from __future__ import annotations

import inspect
import os
import types
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import attrs

from cachekit.attaching.attach import (
    check_group,
    resolve_adapter,
    resolve_predictor,
    resolve_strategy,
)
from cachekit.attaching.interception import standing_before
from cachekit.attaching.session import Session
from cachekit.attaching.trace import NOT_CALLED, Trace, trace_of
from cachekit.diffusers.clock import PipelineClock, PipelineRun
from cachekit.diffusers.watching import Stopwatch, cache_context, maybe_free_model_hooks, on_instance, run_on
from cachekit.errors import CachekitError
from cachekit.interface.predictor import Predictor
from cachekit.interface.strategy import Strategy
from cachekit.profiles.profile import Profile
from cachekit.registry.plugins import get_plugins

if TYPE_CHECKING:
    from torch import nn
    from torch.distributed import ProcessGroup

    from cachekit.interface.adapter import Adapter

DEFAULT_STEPS = 50
"""Steps by which a profile is chosen where the pipeline's call has no default of its own."""


@attrs.define(eq=False)
class Enabled:
    """A strategy at work on a pipeline; made by `enable`. As a context manager it disables at its end."""

    pipe: Any
    run: PipelineRun
    sessions: tuple[Session, ...]
    """One for each of its transformers."""
    group: ProcessGroup | None = None
    """The ranks that share the tokens, as the caller told; None for those of diffusers' context parallelism."""
    _finished: list[Trace] = attrs.field(factory=list, init=False)
    _latest: Trace = attrs.field(factory=lambda: Trace(""), init=False)
    _number: int | None = attrs.field(default=None, init=False)
    """The run in progress."""
    _steps: int = attrs.field(default=0, init=False)
    """Its steps."""
    _watch: Stopwatch = attrs.field(factory=Stopwatch, init=False)
    _attached: ExitStack = attrs.field(factory=ExitStack, init=False)
    """What to undo."""

    def __enter__(self) -> Enabled:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: types.TracebackType | None,
    ) -> None:
        self.disable()

    @property
    def trace(self) -> Trace:
        """The latest run's decisions, of all transformers together, and the seconds from its first call to its last."""
        return self._now() if self._number is not None else self._latest

    @property
    def traces(self) -> list[Trace]:
        """The traces of all runs that made all of their steps, oldest first."""
        now = self._now() if self._number is not None else None
        return [*self._finished, now] if now is not None and self._whole(now) else list(self._finished)

    @property
    def held_bytes(self) -> int:
        """Bytes of the tensors that strategies and predictors hold at this moment."""
        return sum(session.held_bytes for session in self.sessions)

    def disable(self) -> None:
        """Put the pipeline back as it was; a second call does nothing."""
        self.finish()
        self._attached.close()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Within it, calls of the pipeline are the bare pipeline's."""
        with ExitStack() as stack:
            for session in self.sessions:
                stack.enter_context(session.paused())
            yield

    def finish(self) -> None:
        """The pipeline's call is over: note its trace, and let go of all that was kept."""
        if self._number is not None:
            self._latest = self._now()
            if self._whole(self._latest):
                self._finished.append(self._latest)
            self._number = None
        for session in self.sessions:
            session.finish()

    def placed(self) -> None:
        """A transformer's first call in a run has been placed; where that is another run, the one before is over."""
        if self.run.number == self._number:
            return
        self.finish()
        for session in self.sessions:
            refuse_other_cache(session.transformer)
            session.group = self.group or shared_group(session.transformer)
        self._number, self._steps = self.run.number, self.run.steps
        self._watch.start(self.sessions[0].transformer)

    def called(self) -> None:
        """A call of a transformer has returned."""
        self._watch.lap()

    def _whole(self, trace: Trace) -> bool:
        return 0 < len(trace.pattern) == self._steps and NOT_CALLED not in trace.pattern

    def _now(self) -> Trace:
        """The run in progress, its transformers' decisions put together."""
        merged = together([branches_of(session.trace) for session in self.sessions])
        return trace_of(merged, self._watch.seconds())


def enable(
    pipe: Any,
    strategy: str | Strategy,
    *,
    predictor: str | Predictor | None = None,
    profile: str | os.PathLike[str] | Profile | None = None,
    group: ProcessGroup | None = None,
    **params: object,
) -> Enabled:
    """Put a strategy to work on all transformers of a diffusers pipeline, until `disable`.

    `strategy` is a registered name or a Strategy object; `predictor` a name, a name with its fields
    (`"taylor:order=2"`) or a Predictor object; `profile` a Profile or its file, by default the shipped one that fits;
    `group` the ranks that share the tokens of one generation, by default those of the pipeline's context parallelism;
    `params` the named strategy's fields. Steps, timesteps, step and guidance branch come from the pipeline.

    Raises CachekitError, in one sentence, for whatever can't work.
    """
    return enable_resolved(
        pipe,
        lambda transformer, adapter, steps: resolved(pipe, transformer, adapter, strategy, steps, profile, params),
        predictor,
        group=group,
        params=params,
    )


def enable_resolved(
    pipe: Any,
    strategy_for: Any,
    predictor: str | Predictor | None = None,
    *,
    group: ProcessGroup | None = None,
    params: Any = (),
) -> Enabled:
    """`enable` with the strategy that `strategy_for(transformer, adapter, steps)` gives for each transformer."""
    plugins = get_plugins()
    transformers = transformers_of(pipe)
    for told in ("steps", "calls_per_step", "timesteps", "watch"):
        if told in params:
            raise CachekitError(
                f"{told}= is for `cachekit.attach`: a pipeline says its steps, timesteps and branches by itself; "
                "leave it out, and give the pipeline its num_inference_steps"
            )
    for transformer in transformers:
        if standing_before(transformer) is not None:
            raise CachekitError(
                f"a strategy is at work already on this {type(pipe).__name__}'s {type(transformer).__name__}; "
                "`cachekit.disable(pipe)` first, or leave its `with`"
            )
        refuse_other_cache(transformer)
    check_group(group)
    steps = default_steps(type(pipe))
    chosen = []
    for transformer in transformers:
        adapter = resolve_adapter(transformer, None, plugins)
        adapter.blocks(transformer)
        strategy = strategy_for(transformer, adapter, steps)
        chosen.append((transformer, adapter, strategy, resolve_predictor(predictor, strategy, plugins)))
    run = PipelineRun(pipe)
    with ExitStack() as undo:
        sessions = tuple(
            undo.enter_context(
                Session(
                    transformer,
                    adapter,
                    own,
                    answering,
                    steps,
                    clock=PipelineClock(run),
                )
            )
            for transformer, adapter, own, answering in chosen
        )
        enabled = Enabled(pipe, run, sessions, group)
        run.listener = enabled
        for session in sessions:
            undo.enter_context(on_instance(session.transformer, cache_context))
        undo.enter_context(on_instance(pipe, maybe_free_model_hooks))
        enabled._attached = undo.pop_all()
    return enabled


def disable(pipe: Any) -> None:
    """Put the pipeline back as it was before `enable`; CachekitError where nothing is enabled."""
    for transformer in transformers_of(pipe):
        run = run_on(transformer)
        if run is not None and run.listener is not None:
            run.listener.disable()
            return
    raise CachekitError(f"no strategy is enabled on this {type(pipe).__name__}")


def transformers_of(pipe: Any) -> list[nn.Module]:
    """The pipeline's transformers, compiled ones unwrapped; CachekitError where it has none."""
    import torch

    components = getattr(pipe, "components", None)
    if not isinstance(components, dict) or not hasattr(pipe, "scheduler"):
        raise CachekitError(
            f"`enable` takes a diffusers pipeline, and this is a {type(pipe).__name__}; "
            "attach a strategy to a transformer alone with `cachekit.attach`"
        )
    found = {
        name: getattr(part, "_orig_mod", part)
        for name, part in components.items()
        if isinstance(part, torch.nn.Module) and "transformer" in name
    }
    if not found:
        others = ", ".join(name for name, part in components.items() if isinstance(part, torch.nn.Module)) or "none"
        raise CachekitError(
            f"this {type(pipe).__name__} has no transformer (it has {others}), and a strategy skips a transformer's "
            "blocks; UNets are not supported"
        )
    return list(found.values())


def resolved(
    pipe: Any,
    transformer: nn.Module,
    adapter: Adapter,
    strategy: str | Strategy,
    steps: int,
    profile: str | os.PathLike[str] | Profile | None,
    params: dict[str, object],
) -> Strategy:
    """The strategy for one of the pipeline's transformers, from a name and its parameters."""
    if isinstance(strategy, Strategy):
        if params or profile is not None:
            raise CachekitError(
                "parameters and profiles go with a strategy's name; a Strategy object has its own: "
                f"make it as {type(strategy).__name__}(...)"
            )
        return strategy
    if not isinstance(strategy, str):
        raise CachekitError(f"the strategy must be a registered name or a Strategy object, not {strategy!r}")
    traits = adapter.traits(transformer) | pipeline_traits(pipe)
    return resolve_strategy(
        strategy,
        params,
        get_plugins(),
        type(transformer).__name__,
        adapter.architecture(transformer),
        steps=steps,
        profile=profile,
        traits=traits,
    )


def pipeline_traits(pipe: Any) -> dict[str, object]:
    """What a pipeline knows of its model beyond the transformer: Wan 2.2 has two, split at a boundary."""
    return {"boundary_ratio": getattr(pipe.config, "boundary_ratio", None), "pipeline": type(pipe).__name__}


def default_steps(pipeline: type[Any]) -> int:
    """The steps that a class of pipelines makes where it is not told otherwise."""
    parameter = inspect.signature(pipeline.__call__).parameters.get("num_inference_steps")
    default = parameter.default if parameter is not None else None
    return default if isinstance(default, int) else DEFAULT_STEPS


def refuse_other_cache(transformer: nn.Module) -> None:
    if getattr(transformer, "is_cache_enabled", False):
        config = type(transformer._cache_config).__name__
        raise CachekitError(
            f"diffusers' own cache ({config}) is enabled on this {type(transformer).__name__}, and two caches would "
            "skip for each other; call its `disable_cache()` first"
        )


def shared_group(transformer: nn.Module) -> ProcessGroup | None:
    """The ranks among which diffusers' context parallelism has split this transformer's tokens; None without it."""
    config = getattr(transformer, "_parallel_config", None)
    parallel = getattr(config, "context_parallel_config", None)
    mesh = getattr(parallel, "_flattened_mesh", None)
    group: ProcessGroup | None = mesh.get_group() if mesh is not None else None
    return group


def branches_of(trace: Trace) -> list[str]:
    return [branch.pattern for branch in trace.branches] or ([trace.pattern] if trace.pattern else [])


def together(patterns: Sequence[Sequence[str]]) -> list[str]:
    """The branches of several transformers as one run's: put side by side where they take turns, else one by one."""
    if len(patterns) == 1:
        return list(patterns[0])
    merged: list[str] = []
    for branches in patterns:
        for number, branch in enumerate(branches):
            if number < len(merged) and takes_turns(merged[number], branch):
                merged[number] = overlaid(merged[number], branch)
            else:
                merged.append(branch)
    return merged


def takes_turns(one: str, other: str) -> bool:
    return all(NOT_CALLED in pair for pair in zip(one, other, strict=False))


def overlaid(one: str, other: str) -> str:
    length = max(len(one), len(other))
    pairs = zip(one.ljust(length, NOT_CALLED), other.ljust(length, NOT_CALLED), strict=True)
    return "".join(b if a == NOT_CALLED else a for a, b in pairs)
