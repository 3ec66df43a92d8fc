"""A video transformer small enough to run a hundred generations in a second, its adapter and its sampler."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any, ClassVar

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from cachekit.interface.adapter import Adapter, has_modules
from cachekit.interface.residuals import Residual

CHANNELS, WIDTH = 4, 8
SHAPE = (1, CHANNELS, 2, 4, 4)
"""Latents, `[B, C, T, H, W]`; every latent is a token."""


class SmallBlock(nn.Module):
    """Normed, shifted, scaled and gated by the timestep, as a transformer's blocks are, without attention."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(WIDTH, elementwise_affine=False)
        self.mix = nn.Linear(WIDTH, WIDTH)
        self.modulation = nn.Linear(1, 3 * WIDTH)

    def modulated(self, hidden: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
        shift, scale, _ = self.modulation(time).chunk(3, dim=-1)
        modulated: torch.Tensor = self.norm(hidden) * (1 + scale) + shift
        return modulated

    def forward(self, hidden: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
        """Hidden states `[B, N, C]` and time `[B, 1, 1]` in, hidden states out."""
        *_, gate = self.modulation(time).chunk(3, dim=-1)
        output: torch.Tensor = hidden + gate * torch.tanh(self.mix(self.modulated(hidden, time)))
        return output


class SmallTransformer(nn.Module):
    """Latents `[B, C, T, H, W]` and timesteps `[B]` (1000 is noise alone) in, a velocity of the latents' shape out."""

    def __init__(self, depth: int = 4, seed: int = 0) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.embed = nn.Linear(CHANNELS, WIDTH)
            self.small_blocks = nn.ModuleList(SmallBlock() for _ in range(depth))
            self.final = nn.Linear(WIDTH, CHANNELS)

    def forward(self, x: torch.Tensor, timestep: torch.Tensor, caption: float = 0.0) -> torch.Tensor:
        tokens = x.flatten(2).transpose(1, 2)
        hidden, time = self.embed(tokens) + caption, (timestep / 1000).to(x.dtype)[:, None, None]
        for block in self.small_blocks:
            hidden = block(hidden, time)
        velocity: torch.Tensor = self.final(hidden).transpose(1, 2).reshape(x.shape)
        return velocity


class SmallAdapter(Adapter):
    """Where the small transformer's blocks are."""

    probes: ClassVar[tuple[str, ...]] = ("modulated_input",)

    @classmethod
    def fits(cls, transformer: nn.Module) -> bool:
        return has_modules(transformer, "small_blocks")

    def blocks(self, transformer: nn.Module) -> Sequence[nn.Module]:
        blocks: Any = transformer.small_blocks
        return list(blocks)

    def architecture(self, transformer: nn.Module) -> dict[str, object]:
        return {"width": WIDTH, "depth": len(self.blocks(transformer))}

    def probe(
        self,
        name: str,
        transformer: nn.Module,
        hidden: Residual,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
    ) -> torch.Tensor:
        """`modulated_input`: the first block's normed input, shifted and scaled by the timestep."""
        first: Any = self.blocks(transformer)[0]
        modulated: torch.Tensor = first.modulated(hidden, args[1])
        return modulated


def timesteps(steps: int) -> tuple[float, ...]:
    """From 1000 down, shifted towards noise as flow models' are: 1000 · 3s / (1 + 2s), s = 1 - i / steps."""
    return tuple(1000 * 3 * s / (1 + 2 * s) for s in (1 - index / steps for index in range(steps)))


def denoise(
    call: Callable[..., torch.Tensor],
    steps: int,
    *,
    seed: int = 0,
    guided: bool = False,
    shape: Sequence[int] = SHAPE,
    upto: int | None = None,
) -> torch.Tensor:
    """Euler from the noise of `seed`; guided, each step has a second call, of another caption. Stops before `upto`."""
    latents = torch.randn(*shape, generator=torch.Generator().manual_seed(seed))
    levels = [*timesteps(steps), 0.0]
    with torch.no_grad():
        for now, after in list(pairwise(levels))[:upto]:
            timestep = torch.full((len(latents),), now)
            velocity = call(latents, timestep)
            if guided:
                velocity = 2 * velocity - call(latents, timestep, 1.0)
            latents = latents + (after - now) / 1000 * velocity
    return latents


class ValueReads(TorchDispatchMode):
    """While it is entered, counts reads of a tensor's value: on a GPU each would wait."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += "local_scalar_dense" in str(func)
        return func(*args, **(kwargs or {}))
