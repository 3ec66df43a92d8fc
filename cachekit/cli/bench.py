"""`cachekit bench`: what attaching costs on this machine."""

from __future__ import annotations

import platform
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from cachekit.cli.options import MOST_THREADS, Whole, json_option, plugin_option
from cachekit.cli.results import Command

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch

    from cachekit.opensora.stdit3 import STDiT3


@click.command(cls=Command)
@click.option("--rounds", type=Whole(20, 100_000), default=20, show_default=True, help="Timed rounds of single steps.")
@click.option("--loops", type=Whole(1, 10_000), default=7, show_default=True, help="Timed denoising loops of the mini.")
@click.option("--threads", type=Whole(1, MOST_THREADS), help="torch threads  [default: torch's].")
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True)
@plugin_option
@json_option
def bench(rounds: int, loops: int, threads: int | None, device: str, json_file: str | None) -> None:
    """Measure what attaching costs on this machine.

    Single steps run on a randomly initialised STDiT3 of hidden 384 and depth 12; the denoising loop on opensora-mini
    under MagCache. Everything is timed in turn in one process; ratios are medians of paired rounds.
    """
    import torch
    from rich.table import Table

    from cachekit.attaching.benchmark import held_by, loop_ratio, step_timings
    from cachekit.cli.choices import choose_device
    from cachekit.cli.report import console, write_json
    from cachekit.registry.plugins import get_plugins

    if threads is not None:
        torch.set_num_threads(threads)
    place = choose_device(device)
    transformer, call = random_stdit3(place)
    timings = step_timings(transformer, call, rounds)
    predictors = [registration.name for registration in get_plugins().predictors]
    held = held_by(transformer, call, predictors)
    loop, pattern = mini_loops(place, loops)
    content: dict[str, Any] = {
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads, {place}, torch {torch.__version__}",
        "rounds": rounds,
        "milliseconds": {name: timings.median(name) for name in timings.rounds},
        "computed_over_bare": timings.ratio("computed", "bare"),
        "skipped_over_floor": timings.ratio("skipped", "floor"),
        "held": [{"predictor": h.predictor, "bytes": h.bytes, "residual_bytes": h.residual_bytes} for h in held],
        "mini_loop": {
            "pattern": pattern,
            "rounds": loops,
            "milliseconds": {name: loop.median(name) for name in loop.rounds},
            "over_its_parts": loop_ratio(loop, pattern.count("X"), len(pattern)),
        },
    }
    shown = console(json_file)
    shown.print(content["machine"])
    table = Table("step", "median ms", title=f"STDiT3 of hidden 384, depth 12; {rounds} paired rounds")
    for name, value in content["milliseconds"].items():
        table.add_row(name, f"{value:.2f}")
    shown.print(table)
    shown.print(f"computed / bare     {content['computed_over_bare']:.3f}")
    shown.print(f"skipped / floor     {content['skipped_over_floor']:.3f}")
    over = content["mini_loop"]["over_its_parts"]
    shown.print(f"MagCache run of opensora-mini / its parts  {over:.3f}   {pattern}")
    for h in held:
        share = h.bytes / h.residual_bytes
        shown.print(f"{h.predictor} holds {h.bytes:,} bytes, {share:g} residual(s)")
    write_json(content, json_file)


def random_stdit3(device: str) -> tuple[STDiT3, Callable[[], object]]:
    """A seeded STDiT3 and a guided call of it: latents `[2, 4, 5, 16, 16]`, so 320 tokens each."""
    import torch

    from cachekit.opensora.stdit3 import STDiT3, STDiT3Config

    torch.manual_seed(0)
    config = STDiT3Config(hidden_size=384, depth=12, num_heads=6, caption_channels=64, model_max_length=32)
    transformer = STDiT3(config).eval().requires_grad_(False).to(device)
    side = torch.full((2,), 128.0, device=device)
    inputs: dict[str, torch.Tensor] = {
        "x": torch.randn(2, 4, 5, 16, 16, device=device),
        "timestep": torch.full((2,), 500.0, device=device),
        "y": torch.randn(2, 1, 32, 64, device=device),
        "fps": torch.full((2,), 24.0, device=device),
        "height": side,
        "width": side,
    }

    def call() -> object:
        with torch.no_grad():
            output = transformer(**inputs)
        if output.is_cuda:
            torch.cuda.synchronize()
        return output

    return transformer, call


def mini_loops(device: str, rounds: int) -> tuple[Any, str]:
    """Timings of opensora-mini's denoising loop, and the pattern that MagCache ran."""
    from cachekit.attaching.benchmark import loop_timings
    from cachekit.cli.choices import DEFAULT_MODEL, choose_cache, choose_model
    from cachekit.generation.generate import attach_cache
    from cachekit.registry.plugins import get_plugins

    plugins = get_plugins()
    chosen = choose_model(DEFAULT_MODEL, plugins, {})
    model = chosen.model
    cache = choose_cache("magcache", {}, None, None, chosen, model.steps, plugins)
    assert cache is not None
    pipeline = model.load(device=device, dtype=None)
    text = pipeline.encode_text(model.example_prompts[0])
    loop = partial(pipeline.denoise, text, seed=0, steps=model.steps, guidance_scale=model.guidance_scale)
    attached = partial(attach_cache, pipeline, cache, model.steps)
    pattern = cache.plan(model.steps, model.timesteps(model.steps)) or ""
    return loop_timings(pipeline.transformer, loop, attached, rounds), pattern
