"""What each of several processes does that share one generation's tokens."""

import os
from datetime import timedelta

import torch
import torch.distributed as dist
from loops import CAPTION, Drift, falling
from stand_ins import OpenSoraLike

import cachekit

RANKS, TOKENS, STEPS = 2, 8, 16


def strategies():
    return {
        "drift": Drift(thresh=0.06),
        "teacache": ("teacache", {"coefficients": [1.0, 0.0], "thresh": 0.1}),
        "fbcache": ("fbcache", {"thresh": 0.05}),
        "easycache": ("easycache", {"thresh": 0.1, "first": 2}),
    }


def generate(part: slice, group, strategy) -> tuple[str, torch.Tensor]:
    """The pattern and the latents of this part of the tokens."""
    torch.manual_seed(0)
    model = OpenSoraLike().eval()
    name, params = strategy if isinstance(strategy, tuple) else (strategy, {})
    latents = torch.randn(1, TOKENS, 4, generator=torch.Generator().manual_seed(1))
    latents = (latents * torch.linspace(0.1, 3, TOKENS)[:, None])[:, part]
    with torch.no_grad(), cachekit.attach(model, name, steps=STEPS, group=group, **params) as session:
        for timestep in falling(STEPS):
            latents = latents - model(latents, torch.tensor([timestep]), CAPTION) / STEPS
    return session.trace.pattern, latents


def work(rank: int, port: int, queue) -> None:
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    dist.init_process_group("gloo", rank=rank, world_size=RANKS, timeout=timedelta(seconds=60))
    share = TOKENS // RANKS
    found = {}
    for name, strategy in strategies().items():
        pattern, latents = generate(slice(rank * share, (rank + 1) * share), dist.group.WORLD, strategy)
        found[name] = pattern, latents.tolist()
    queue.put((rank, found))
    queue.close()
    queue.join_thread()
    dist.destroy_process_group()
