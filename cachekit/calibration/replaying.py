"""A watched request run again: with a pattern of steps, or one call of the transformer with other inputs."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

import attrs
import torch

from cachekit.attaching.attach import resolve_predictor
from cachekit.attaching.session import Session
from cachekit.errors import CachekitError
from cachekit.interface.calibrator import Replay
from cachekit.interface.strategy import Run, Strategy
from cachekit.registry.plugins import get_plugins

if TYPE_CHECKING:
    from torch import nn

    from cachekit.interface.adapter import Adapter
    from cachekit.interface.conditions import Conditions
    from cachekit.interface.model import Pipeline
    from cachekit.interface.predictor import Predictor

Recorded: TypeAlias = "tuple[tuple[Any, ...], dict[str, Any]]"
"""The arguments of one call of the transformer."""


@attrs.define
class Marked(Strategy):
    """Computes the steps of a pattern."""

    pattern: str = "X"

    def plan(self, run: Run) -> str:
        return self.pattern


@contextmanager
def recorded(transformer: nn.Module, *, wanted: bool) -> Iterator[list[Recorded]]:
    """The arguments of every call of the transformer within; none where they are not wanted."""
    calls: list[Recorded] = []

    def note(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        calls.append((args, kwargs))

    handle = transformer.register_forward_pre_hook(note, with_kwargs=True) if wanted else None
    try:
        yield calls
    finally:
        if handle is not None:
            handle.remove()


@attrs.define(eq=False)
class PipelineReplay(Replay):
    """A request of a pipeline, with what its transformer was called with."""

    pipeline: Pipeline
    adapter: Adapter
    conditions: Conditions
    denoise: Callable[[], torch.Tensor]
    latents: torch.Tensor
    calls: list[Recorded]

    def cached(self, pattern: str, predictor: str | Predictor = "reuse") -> torch.Tensor:
        strategy = Marked(pattern)
        answering = resolve_predictor(predictor, strategy, get_plugins())
        conditions, transformer = self.conditions, self.pipeline.transformer
        with Session(transformer, self.adapter, strategy, answering, conditions.steps, conditions.calls_per_step):
            return self.denoise()

    def given(self, index: int) -> tuple[torch.Tensor, float]:
        args, kwargs = self.calls[index * self.conditions.calls_per_step]
        latents = self.adapter.latents(self._signature, args, kwargs)
        if latents is None:
            raise CachekitError(f"{type(self.adapter).__name__} finds no latents in the calls of this transformer")
        return latents, self.conditions.timesteps[index]

    def output(self, index: int, *, latents: torch.Tensor | None = None, timestep: float | None = None) -> torch.Tensor:
        args, kwargs = self.calls[index * self.conditions.calls_per_step]
        changes: dict[int, Any] = {}
        if latents is not None:
            changes[id(self.given(index)[0])] = latents
        if timestep is not None:
            time = self.adapter.timestep(self._signature, args, kwargs)
            changes[id(time)] = None if time is None else time * (timestep / self.conditions.timesteps[index])
        args = tuple(changes.get(id(value), value) for value in args)
        kwargs = {name: changes.get(id(value), value) for name, value in kwargs.items()}
        with torch.no_grad():
            return self.adapter.forward_output(self.pipeline.transformer(*args, **kwargs))

    @property
    def _signature(self) -> inspect.Signature:
        return inspect.signature(self.pipeline.transformer.forward)
