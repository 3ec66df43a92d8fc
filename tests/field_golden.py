"""The ground on which the field's public code was run: a small seeded model, its inputs and its sampler.

`tests/data/field/NAME.json` says what computed the golden numbers (repository, file, commit), with which parameters,
and the decisions; `NAME.safetensors` the final latents. None of that code is here.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from stand_ins import OpenSoraLike

import cachekit

FOLDER = Path(__file__).parent / "data" / "field"
STEPS = 30
GROUND = load_file(FOLDER / "stand_in.safetensors")
TOLERANCE = 1e-5


def golden(name: str) -> dict[str, Any]:
    """What is on file of a method, as JSON."""
    return json.loads((FOLDER / f"{name}.json").read_text())


def runs(name: str, key: str = "runs") -> list[dict[str, Any]]:
    return golden(name)[key]


def final(name: str, run: dict[str, Any]) -> torch.Tensor:
    """The final latents of a golden run."""
    return load_file(FOLDER / f"{name}.safetensors")[f"final.{run['name']}"]


def model(depth: int = 2) -> OpenSoraLike:
    torch.manual_seed(0)
    built = OpenSoraLike(depth).eval()
    if depth == 2:
        built.load_state_dict({k.removeprefix("model."): v for k, v in GROUND.items() if k.startswith("model.")})
    return built


def denoise(
    transformer: Callable[..., torch.Tensor],
    guidance: float | None = None,
    captions: torch.Tensor | None = None,
    noise: torch.Tensor | None = None,
) -> torch.Tensor:
    """Euler over the golden noise levels; with guidance the conditional call of a step comes first."""
    x, sigmas = GROUND["noise"].clone() if noise is None else noise, GROUND["sigmas"]
    y = GROUND["y"] if captions is None else captions
    for i in range(STEPS):
        timestep = sigmas[i : i + 1] * 1000
        v = transformer(x, timestep, y)
        if guidance is not None:
            u = transformer(x, timestep, GROUND["y_null"])
            v = u + guidance * (v - u)
        x = x + (sigmas[i + 1] - sigmas[i]) * v
    return x


def cached(
    strategy: cachekit.Strategy,
    predictor: str | cachekit.Predictor | None = None,
    *,
    guidance: float | None = None,
    depth: int = 2,
    captions: torch.Tensor | None = None,
) -> tuple[list[str], torch.Tensor]:
    """Patterns, one a branch, and final latents of a run with this strategy."""
    transformer = model(depth)
    with cachekit.attach(transformer, strategy, steps=STEPS, predictor=predictor) as session:
        latents = denoise(transformer, guidance, captions)
    (trace,) = session.traces
    return [branch.pattern for branch in trace.branches], latents
