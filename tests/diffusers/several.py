"""What each of two processes does that generate together: the tokens shared out, or the weights."""

from __future__ import annotations

import os
import warnings
from datetime import timedelta
from typing import Any

import diffusers
import torch
import torch.distributed as dist
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor.debug import CommDebugMode
from zoo.pipelines import PIPELINES

import cachekit
from cachekit.diffusers.structure import body_of

RANKS = 2
SHARED = ("wan", "flux", "qwen_image")
"""Pipelines whose transformers diffusers shares out by tokens; Wan and Qwen-Image split at their first block."""
STRATEGIES: dict[str, dict[str, Any]] = {
    "none": {},
    "uniform": {"computed": 3},
    "fbcache": {"thresh": 1.0},
    "teacache": {"thresh": 0.2, "coefficients": [1.0, 0.0]},
}
ORDERS = ("before", "after")
"""Of enabling: before diffusers' parallelism, and after it."""


def count_processors() -> None:
    """diffusers asks torch which accelerators there are; where there is none, that it is the processor."""
    if not torch.accelerator.is_available():
        torch.accelerator.device_count = lambda: 1
        torch._C._get_accelerator = lambda *_: torch.device("cpu")


def run(name: str, pipe: Any) -> torch.Tensor:
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return PIPELINES[name].run(pipe)


def alone(name: str, strategy: str) -> tuple[str, torch.Tensor]:
    """Pattern and latents of one process that holds all tokens."""
    pipe = PIPELINES[name].make()
    with cachekit.enable(pipe, strategy, **STRATEGIES[strategy]) as enabled:
        made = run(name, pipe)
        return enabled.trace.pattern, made


def share_tokens(pipe: Any) -> None:
    pipe.transformer.enable_parallelism(config=diffusers.ContextParallelConfig(ulysses_degree=RANKS))


def tokens_shared(name: str, strategy: str, order: str) -> tuple[str, torch.Tensor]:
    """The same where each of the ranks holds its part of the tokens."""
    pipe = PIPELINES[name].make()
    if order == "after":
        share_tokens(pipe)
    with cachekit.enable(pipe, strategy, **STRATEGIES[strategy]) as enabled:
        if order == "before":
            share_tokens(pipe)
        made = run(name, pipe)
        return enabled.trace.pattern, made


def shard_weights(pipe: Any) -> None:
    """FSDP2 as it is meant: each block a group of its own, the rest the root's."""
    for block in body_of(pipe.transformer).blocks:
        fully_shard(block)
    fully_shard(pipe.transformer)


def weights_sharded(order: str) -> dict[str, Any]:
    """Wan with its weights sharded: latents, pattern, and the gathers of each of its calls."""
    pipe = PIPELINES["wan"].make()
    gathers: list[int] = []
    if order == "after":
        shard_weights(pipe)
    with cachekit.enable(pipe, "uniform", computed=3) as enabled:
        if order == "before":
            shard_weights(pipe)
        with CommDebugMode() as counting:
            made = PIPELINES["wan"].run(pipe, callback_on_step_end=lambda *_: gathers.append(total(counting)) or {})
        pattern = enabled.trace.pattern
    bare = run("wan", pipe)
    steps = [after - before for before, after in zip([0, *gathers], gathers, strict=False)]
    return {"pattern": pattern, "latents": made.tolist(), "bare": bare.tolist(), "gathers": steps}


def total(counting: CommDebugMode) -> int:
    return sum(count for op, count in counting.get_comm_counts().items() if "gather" in str(op))


def work(rank: int, port: int, queue: Any) -> None:
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    torch.set_num_threads(1)
    count_processors()
    dist.init_process_group("gloo", rank=rank, world_size=RANKS, timeout=timedelta(seconds=300))
    found: dict[Any, Any] = {}
    for name in SHARED:
        for strategy in STRATEGIES:
            for order in ORDERS:
                try:
                    pattern, made = tokens_shared(name, strategy, order)
                    found[name, strategy, order] = pattern, made.tolist()
                except cachekit.CachekitError as error:
                    found[name, strategy, order] = str(error), []
    with torch.no_grad():
        for order in ORDERS:
            found["weights", order] = weights_sharded(order)
    queue.put((rank, found))
    queue.close()
    queue.join_thread()
    dist.destroy_process_group()
