"""SeaCache's Wiener filter (arXiv 2602.18993, section 3.2)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TypeAlias

import cachekit

if TYPE_CHECKING:
    import torch

Grid: TypeAlias = tuple[int, ...]
"""Tokens along each axis, the last fastest: time, height and width, or height and width."""

SMALLEST = 1e-16
PATCHES = (1, 2, 4, 8)
"""Latents along an axis that a token may stand for."""
TIMESTEPS = 1000.0
"""The timestep of pure noise, where a model is not given σ itself."""


def wiener(tokens: torch.Tensor, grid: Grid, sigma: float, power: float) -> torch.Tensor:
    """Tokens `[B, N, C]` filtered over their grid for x = a · clean + b · noise, a = 1 - σ, b = σ.

    The gain along an axis is a S / (a² S + b²) with S = 1 / |f|^power; of all axes it is their product, over its mean.
    """
    import torch

    if math.prod(grid) != tokens.shape[1]:
        raise cachekit.CachekitError(
            f"seacache's grid {tuple(grid)} has {math.prod(grid)} tokens, but the transformer {tokens.shape[1]}; "
            "give grid= as the transformer lays them out"
        )
    axes = tuple(range(1, 1 + len(grid)))
    laid_out = tokens.float().unflatten(1, grid)
    gain = torch.ones((), device=tokens.device)
    for axis, count in enumerate(grid):
        spectrum = 1 / (torch.fft.fftfreq(count, device=tokens.device).abs() ** power + SMALLEST)
        along = (1 - sigma) * spectrum / ((1 - sigma) ** 2 * spectrum + sigma**2 + SMALLEST)
        gain = gain * along.reshape(-1, *[1] * (len(grid) - axis))
    filtered = torch.fft.ifftn(torch.fft.fftn(laid_out, dim=axes) * (gain / gain.mean()), dim=axes).real
    return filtered.flatten(1, len(grid)).to(tokens.dtype)


def noise_level(step: cachekit.Step) -> float:
    """σ of a rectified flow: its timestep, of 1 or of 1000; within 10⁻⁶ of neither end."""
    timestep = step.timestep
    if timestep is None:
        raise cachekit.CachekitError("seacache needs the noise level, but this transformer takes no timestep")
    sigma = timestep / TIMESTEPS if timestep > 1 else timestep
    return min(max(sigma, 1e-6), 1 - 1e-6)


def grid_of(tokens: int, latents: torch.Tensor) -> Grid:
    """The grid of so many tokens made of latents `[B, C, T, H, W]` or `[B, C, H, W]`, patches alike along H and W."""
    sizes = latents.shape[2:]
    for along_time in PATCHES if len(sizes) == 3 else (1,):
        for patch in PATCHES:
            patches = (along_time, patch, patch)[-len(sizes) :] if len(sizes) in (2, 3) else ()
            grid = tuple(math.ceil(size / patch) for size, patch in zip(sizes, patches, strict=False))
            if grid and math.prod(grid) == tokens:
                return grid
    raise cachekit.CachekitError(
        f"seacache can't tell the grid of {tokens} tokens from latents of shape {tuple(latents.shape)}; "
        "give grid=, the tokens along time, height and width"
    )
