"""What every entry of the zoo is made of: a model made small with seeded weights, and calls of it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import attrs
import torch
from torch import nn

Inputs = Callable[[int], dict[str, Any]]


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Random numbers of this seed inside, those of before again afterwards."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(*shape)


def ones(*shape: int, dtype: torch.dtype = torch.bool) -> torch.Tensor:
    return torch.ones(*shape, dtype=dtype)


def wake(model: nn.Module, seed: int) -> None:
    """Give every parameter that begins at zero (gates, modulations, last layers) a small random value.

    A block whose gate is zero does nothing, and a cache of nothing is always right.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.is_floating_point() and not parameter.any():
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.1)


def build(kind: type[nn.Module], config: Mapping[str, Any], seed: int = 0) -> Any:
    """The class with these sizes, its weights those of the seed, ready to be called."""
    with seeded(seed), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = kind(**config)
    wake(model, seed)
    return model.eval()


@attrs.frozen
class SmallModel:
    """A transformer class of diffusers made small, and what it is called with."""

    kind: type[nn.Module]
    config: dict[str, Any]
    inputs: Inputs
    """All but the timestep, at size 1 or at size 2 (more tokens)."""
    noisy: str = "hidden_states"
    """The argument that is denoised."""
    timestep: str = "timestep"
    scale: float = 1000.0
    """The timestep of pure noise."""
    also: tuple[str, ...] = ()
    """Further arguments that are the timestep too."""
    timestep_shape: tuple[int, ...] | None = None
    """None for one a sample of the batch."""
    seed: int = 0

    @property
    def name(self) -> str:
        return self.kind.__name__

    def make(self) -> Any:
        return build(self.kind, self.config, self.seed)

    def arguments(self, level: float, *, size: int = 1, seed: int = 0) -> dict[str, Any]:
        """What the transformer is called with at this noise level (1 is pure noise, 0 none)."""
        with seeded(seed):
            given = self.inputs(size)
            given[self.noisy] = denoised(given[self.noisy], level)
        if self.timestep not in given:
            first = given[self.noisy][0] if isinstance(given[self.noisy], list) else given[self.noisy]
            batch = 1 if isinstance(given[self.noisy], list) else len(first)
            timestep = torch.full(self.timestep_shape or (batch,), level * self.scale)
            given.update(dict.fromkeys((self.timestep, *self.also), timestep))
        return given


def denoised(pure: Any, level: float) -> Any:
    """A point between noise and a sample, or a list of such."""
    if isinstance(pure, list):
        return [denoised(one, level) for one in pure]
    return level * pure + (1 - level) * torch.randn_like(pure).cumsum(-1) / pure.shape[-1] ** 0.5


def sample_of(returned: Any) -> tuple[torch.Tensor, ...]:
    """All tensors that a transformer returned, in their order."""
    if isinstance(returned, torch.Tensor):
        return (returned,)
    if isinstance(returned, Mapping):
        returned = tuple(returned.values())
    return tuple(tensor for one in returned if one is not None for tensor in sample_of(one))
