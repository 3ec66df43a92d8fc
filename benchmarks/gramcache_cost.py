"""What GramCache's planning and its corrected steps cost: `python benchmarks/gramcache_cost.py`.

A corrected step is a computed one behind a stretch of skipped ones, after which GramCache gives back what they got
wrong. The same pattern runs under `fixed` beside it, which corrects nothing; runs alternate, on one thread.
"""

from __future__ import annotations

import itertools
import json
import statistics
import time
from pathlib import Path

import attrs
import click
import torch

from cachekit.attaching.benchmark import Timings
from cachekit.cli.choices import choose_cache, choose_model
from cachekit.generation.generate import Cache, attach_cache
from cachekit.interface.model import Pipeline
from cachekit.registry.plugins import get_plugins

STEPS, PLANNED = 30, 50


@click.command()
@click.option("--rounds", default=200, show_default=True, help="Runs of each.")
@click.option("--computed", default=12, show_default=True, help="Steps of 30.")
@click.option("--json", "json_file", type=click.Path(dir_okay=False), help="Write the figures as JSON to FILE.")
def main(rounds: int, computed: int, json_file: str | None) -> None:
    torch.set_num_threads(1)
    plugins = get_plugins()
    chosen = choose_model("opensora-mini", plugins, {})

    def cache_of(spec: str, steps: int) -> Cache:
        cache = choose_cache(spec, {}, None, None, chosen, steps, plugins)
        assert cache is not None
        return cache

    pipeline = chosen.model.load(device="cpu", dtype=None)
    corrected = cache_of(f"gramcache:computed={computed}", STEPS)
    pattern = corrected.plan(STEPS, chosen.model.timesteps(STEPS))
    assert pattern is not None
    plain = cache_of(f"fixed:pattern={pattern}", STEPS)
    plain = attrs.evolve(plain, predictor=corrected.predictor)
    behind = [index for index in range(1, STEPS) if pattern[index - 1 : index + 1] == ".X"]
    ways = {"corrected": corrected, "plain": plain}
    found_seconds: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds):
        for name in list(ways)[:: 1 if number % 2 else -1]:
            seconds = step_seconds(pipeline, ways[name])
            found_seconds[name].append(statistics.median(seconds[index] for index in behind))
    ratio = Timings(found_seconds).ratio("corrected", "plain")
    begun = time.perf_counter()
    cache_of(f"gramcache:computed={2 * PLANNED // 5}", PLANNED).plan(PLANNED, chosen.model.timesteps(PLANNED))
    planning = time.perf_counter() - begun
    found = {"corrected_over_computed": attrs.asdict(ratio), "planning_seconds": planning, "rounds": rounds}
    click.echo(f"a corrected step over a computed one: {ratio}; {PLANNED} steps planned in {planning:.2f} s")
    if json_file:
        Path(json_file).write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def step_seconds(pipeline: Pipeline, cache: Cache) -> list[float]:
    """Seconds of each step of a run, the sampler's part among them."""
    ends = [time.perf_counter()]
    text = pipeline.encode_text("a red circle moves left over a night sky")
    with attach_cache(pipeline, cache, STEPS):
        pipeline.denoise(
            text, seed=0, steps=STEPS, guidance_scale=4.0, on_step=lambda _: ends.append(time.perf_counter())
        )
    return [end - begin for begin, end in itertools.pairwise(ends)]


if __name__ == "__main__":
    main()
