"""FLUX with a ControlNet at one pattern, by cachekit and by diffusers' MagCache: `python benchmarks/controlnet.py`.

A ControlNet's residuals are added by the model between its blocks. diffusers' MagCache hands the span's residual on at
the first block, so that they are added once more after it; cachekit answers at the last. What is measured is how far
the latents are from those of the uncached pipeline, |cached - uncached| / |uncached| (L2), for several seeds of noise,
text and control image; both put the last computed residual in place of a skipped one, and which steps' blocks ran is
looked at. Strength 0 is the control: nothing is added, and both are to be equally far. Random weights, of
`tests/diffusers/zoo`. Needs `pip install 'cachekit-dit[diffusers]'`.
"""

from __future__ import annotations

import json
import statistics
import sys
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import click
import diffusers
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "diffusers"))

from zoo.pipelines import PIPELINES

import cachekit
from cachekit.diffusers.structure import body_of

PATTERN = "XXX.X.X.X.X."
"""What diffusers' MagCache makes of ratios of 1, one skip at most and a quarter of the steps retained."""
STRENGTHS = (0.0, 0.25, 0.5, 1.0)
"""`controlnet_conditioning_scale`."""


def ours(pipe: Any) -> AbstractContextManager[object]:
    return cachekit.enable(pipe, "fixed", pattern=PATTERN)


@contextmanager
def theirs(pipe: Any) -> Iterator[None]:
    steps = len(PATTERN)
    config = diffusers.MagCacheConfig(
        threshold=1.0, max_skip_steps=1, retention_ratio=3 / steps, num_inference_steps=steps, mag_ratios=[1.0] * steps
    )
    pipe.transformer.enable_cache(config)
    try:
        yield
    finally:
        pipe.transformer.disable_cache()


WAYS = {"cachekit": ours, "diffusers MagCache": theirs}


@contextmanager
def pattern_seen(transformer: Any) -> Iterator[list[str]]:
    """What was done at each call: `X` where a block ran, which a layer inside of it tells."""
    seen: list[str] = []
    inner = body_of(transformer).blocks[1].attn.to_q
    handles = [
        transformer.register_forward_pre_hook(lambda module, given: seen.append(".")),
        inner.register_forward_pre_hook(lambda module, given: seen.__setitem__(-1, "X")),
    ]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def distances(strength: float, seeds: int) -> dict[str, list[float]]:
    """Of each way, how far from uncached it is at each seed."""
    entry = PIPELINES["flux_controlnet"]
    pipe = entry.make()
    found: dict[str, list[float]] = {name: [] for name in WAYS}
    for seed in range(seeds):
        asked = {
            "steps": len(PATTERN), "guided": False, "seed": seed, "controlnet_conditioning_scale": strength
        }  # fmt: skip
        bare = entry.run(pipe, **asked)
        for name, way in WAYS.items():
            with pattern_seen(pipe.transformer) as seen, way(pipe):
                made = entry.run(pipe, **asked)
            if "".join(seen) != PATTERN:
                raise click.ClickException(f"{name} made {''.join(seen)}, and the pattern to compare at is {PATTERN}")
            found[name].append(((made - bare).norm() / bare.norm()).item())
    return found


@click.command()
@click.option("--seeds", default=16, show_default=True, help="Of noise, text and control image, each a generation.")
@click.option("--json", "json_file", type=click.Path(path_type=Path, dir_okay=False), help="Write the figures to FILE.")
def main(seeds: int, json_file: Path | None) -> None:
    """How far from uncached FLUX with a ControlNet is, by cachekit and by diffusers' MagCache at one pattern."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    rows = []
    with torch.no_grad():
        for strength in STRENGTHS:
            found = distances(strength, seeds)
            nearer = sum(mine < other for mine, other in zip(*found.values(), strict=True))
            means = {name: statistics.fmean(values) for name, values in found.items()}
            worst = {name: max(values) for name, values in found.items()}
            rows.append({"strength": strength, "mean": means, "worst": worst, "nearer": nearer})
            click.echo(json.dumps(rows[-1]))
    if json_file:
        text = json.dumps({"pattern": PATTERN, "seeds": seeds, "rows": rows}, indent=1)
        json_file.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
