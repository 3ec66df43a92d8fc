"""`--shard`: which part of the work a command does, and which GPU it does it on."""

from __future__ import annotations

import os
from pathlib import Path

import click

from cachekit.generation.manifest import NAME
from cachekit.scaling.shares import Share, local_rank, parse_share, share_of_environment

share_option = click.option(
    "--shard",
    metavar="I/N",
    help="Do the I-th of N shares of the work  [default: what torchrun, accelerate, srun or a SLURM array say].",
)


def chosen_share(shard: str | None) -> Share | None:
    """The share that was asked for, or that a launcher's variables mean, said in a line; None for all of the work."""
    share = share_of_environment(os.environ) if shard is None else parse_share(shard)
    if share is None or share.of == 1:
        return None
    if shard is None:
        click.echo(f"cachekit: {share}, by {share.source}; --shard 1/1 would do everything here", err=True)
    return share


def manifest_name(share: Share | None) -> str:
    """The manifest that this process writes."""
    return share.named(Path(NAME)).name if share else NAME


def use_local_gpu() -> None:
    """Of several GPUs on this machine, take the one of this process's number."""
    import torch

    rank = local_rank(os.environ)
    if rank is not None and torch.cuda.device_count() > 1:
        torch.cuda.set_device(rank % torch.cuda.device_count())
