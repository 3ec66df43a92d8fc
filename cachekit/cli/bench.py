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
    from torch import nn

    from cachekit.attaching.benchmark import Timings
    from cachekit.interface.progress import Progress
    from cachekit.opensora.stdit3 import STDiT3


@click.command(cls=Command)
@click.option("--rounds", type=Whole(20, 100_000), default=20, show_default=True, help="Timed rounds of single steps.")
@click.option("--loops", type=Whole(1, 10_000), default=7, show_default=True, help="Timed denoising loops of the mini.")
@click.option("--threads", type=Whole(1, MOST_THREADS), help="torch threads  [default: torch's].")
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True)
@click.option("--compiled/--no-compiled", default=True, help="Time a compiled model too, which takes minutes.")
@plugin_option
@json_option
def bench(rounds: int, loops: int, threads: int | None, device: str, compiled: bool, json_file: str | None) -> None:
    """Measure what attaching costs on this machine.

    Single steps run on a randomly initialised STDiT3 of hidden 384 and depth 12, as it is and compiled with inductor;
    the denoising loop on opensora-mini under MagCache. Everything is timed in turn in one process; ratios are medians
    of paired rounds.
    """
    import torch
    from rich.table import Table

    from cachekit.attaching.benchmark import held_by, loop_ratio, step_timings
    from cachekit.cli.choices import choose_device
    from cachekit.cli.progress import progress
    from cachekit.cli.report import console, write_json
    from cachekit.registry.plugins import get_plugins

    if threads is not None:
        torch.set_num_threads(threads)
    place = choose_device(device)
    transformer, call = random_stdit3(place)
    models: dict[str, Any] = {"eager": transformer}
    if compiled:
        models["compiled"] = torch.compile(transformer)
    predictors = [registration.name for registration in get_plugins().predictors]
    steps: dict[str, Timings] = {}
    with progress(len(models) + 2) as shown:
        for how, model in models.items():
            shown.start(f"single steps, {how}")
            steps[how] = step_timings(transformer, partial(call, model), rounds, shown)
            shown.finish(f"single steps, {how}: computed / bare {steps[how].ratio('computed', 'bare'):.3f}")
        shown.start("what predictors hold")
        held = held_by(transformer, partial(call, transformer), predictors)
        shown.finish("what predictors hold")
        shown.start("denoising loops")
        loop, pattern = mini_loops(place, loops, shown)
        shown.finish("denoising loops")
    content: dict[str, Any] = {
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads, {place}, torch {torch.__version__}",
        "rounds": rounds,
        "steps": {
            how: {
                "milliseconds": {name: timings.median(name) for name in timings.rounds},
                "computed_over_bare": timings.ratio("computed", "bare"),
                "skipped_over_floor": timings.ratio("skipped", "floor"),
            }
            for how, timings in steps.items()
        },
        "held": [{"predictor": h.predictor, "bytes": h.bytes, "residual_bytes": h.residual_bytes} for h in held],
        "mini_loop": {
            "pattern": pattern,
            "rounds": loops,
            "milliseconds": {name: loop.median(name) for name in loop.rounds},
            "over_its_parts": loop_ratio(loop, pattern.count("X"), len(pattern)),
        },
    }
    table = Table("step", *steps, title=f"STDiT3 of hidden 384, depth 12; {rounds} paired rounds, median ms")
    for name in ("bare", "computed", "skipped", "floor"):
        table.add_row(name, *(f"{timings.median(name):.2f}" for timings in steps.values()))
    table.add_section()
    for over, under in (("computed", "bare"), ("skipped", "floor")):
        table.add_row(f"{over} / {under}", *(f"{timings.ratio(over, under):.3f}" for timings in steps.values()))
    out = console(json_file)
    out.print(content["machine"])
    out.print(table)
    out.print(f"MagCache run of opensora-mini / its parts  {content['mini_loop']['over_its_parts']:.3f}   {pattern}")
    for h in held:
        out.print(f"{h.predictor} holds {h.bytes:,} bytes, {h.bytes / h.residual_bytes:g} residual(s)")
    write_json(content, json_file)


def random_stdit3(device: str) -> tuple[STDiT3, Callable[[nn.Module], object]]:
    """A seeded STDiT3 and a guided call of it, or of it compiled: latents `[2, 4, 5, 16, 16]`, so 320 tokens each."""
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

    def call(model: nn.Module) -> object:
        with torch.no_grad():
            output = model(**inputs)
        if output.is_cuda:
            torch.cuda.synchronize()
        return output

    return transformer, call


def mini_loops(device: str, rounds: int, shown: Progress) -> tuple[Timings, str]:
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
    return loop_timings(pipeline.transformer, loop, attached, rounds, shown), pattern
