"""Seconds of each stage of Open-Sora's small random pipeline, and its memory: `python benchmarks/opensora_small.py`.

`--weights random:small`: 20 frames of 144 by 256, 30 steps.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click
import torch

Made = TypeVar("Made")


@click.command()
@click.option("--threads", default=1, show_default=True)
@click.option("--json", "json_file", type=click.Path(dir_okay=False), help="Write the figures as JSON to FILE.")
def main(threads: int, json_file: str | None) -> None:
    from cachekit.opensora.model import OpenSora

    torch.set_num_threads(threads)
    seconds: dict[str, float] = {}

    def timed(stage: str, work: Callable[[], Made]) -> Made:
        begun = time.perf_counter()
        made = work()
        seconds[stage] = time.perf_counter() - begun
        click.echo(f"{stage:12} {seconds[stage]:.2f} s")
        return made

    pipeline = timed("loading", lambda: OpenSora(weights="random:small").load(device="cpu", dtype=None))
    text = timed("text", lambda: pipeline.encode_text("a red balloon over a lake"))
    latents = timed("denoising", lambda: pipeline.denoise(text, seed=0, steps=30, guidance_scale=7.0))
    timed("decoding", lambda: pipeline.decode(latents))
    memory = pipeline.peak_memory_bytes() / 2**20
    click.echo(f"peak memory  {memory:.0f} MiB")
    if json_file:
        found = {"seconds": seconds, "peak_mib": memory, "threads": threads}
        Path(json_file).write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
