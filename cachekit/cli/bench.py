"""`cachekit bench`: what attaching costs on this machine."""

from __future__ import annotations

import platform
from functools import partial
from typing import TYPE_CHECKING, Any

import attrs
import click

from cachekit.cli.options import MOST_THREADS, Whole, json_option, plugin_option
from cachekit.cli.results import Command

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch
    from torch import nn

    from cachekit.attaching.benchmark import Timings, Told
    from cachekit.opensora.stdit3 import STDiT3


BACKENDS = ("eager", "inductor")
SHORT, LONG = 1, 5
"""Frames of a computed step, where many short ones tell more than few long ones, and of a skipped step, which takes so
little time that a whole one may be as long as any."""


@click.command(cls=Command)
@click.option(
    "--backend", "backends", type=click.Choice(BACKENDS), multiple=True,
    help="How the model runs: as it is, or compiled, which takes minutes (repeatable)  [default: both].",
)  # fmt: skip
@click.option("--rounds", type=Whole(20, 100_000), default=100, show_default=True, help="Timed rounds of single steps.")
@click.option("--loops", type=Whole(0, 10_000), default=7, show_default=True, help="Timed denoising loops of the mini.")
@click.option("--threads", type=Whole(1, MOST_THREADS), help="torch threads  [default: torch's].")
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True)
@plugin_option
@json_option
def bench(
    backends: tuple[str, ...], rounds: int, loops: int, threads: int | None, device: str, json_file: str | None
) -> None:
    """Measure what attaching costs on this machine.

    Single steps run on a randomly initialised STDiT3 of hidden 384 and depth 4, as it is and compiled with inductor;
    the denoising loop on opensora-mini under MagCache. Everything is timed in turn in one process; ratios are medians
    of paired rounds, with the bounds of 95 % in brackets: more --rounds narrow them.
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
    backends = backends or BACKENDS
    predictors = [registration.name for registration in get_plugins().predictors]
    steps: dict[str, Timings] = {}
    loop: dict[str, Any] = {}
    with progress(len(backends) + 1 + (loops > 0)) as shown:
        for backend in backends:
            shown.start(f"single steps, {backend}")
            calls = guided_call(place, frames=SHORT), guided_call(place, frames=LONG)
            steps[backend] = step_timings(random_stdit3(place), *calls, rounds, compiled(backend), shown.step)
            shown.finish(f"single steps, {backend}: computed / bare {steps[backend].ratio('computed', 'bare')}")
        shown.start("what predictors hold")
        small = random_stdit3(place, hidden=48, depth=1)
        held = held_by(small, partial(guided_call(place, frames=SHORT), small), predictors)
        shown.finish("what predictors hold")
        if loops:
            shown.start("denoising loops")
            timings, pattern = mini_loops(place, loops, shown.step)
            ratio = loop_ratio(timings, pattern.count("X"), len(pattern))
            medians = {name: timings.median(name) for name in timings.rounds}
            loop = {"pattern": pattern, "rounds": loops, "milliseconds": medians, "over_its_parts": ratio}
            shown.finish(f"denoising loops: MagCache / its parts {ratio:.3f}")
    content: dict[str, Any] = {
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads, {place}, torch {torch.__version__}",
        "rounds": rounds,
        "steps": {
            backend: {
                "milliseconds": {name: timings.median(name) for name in timings.rounds},
                "computed_over_bare": attrs.asdict(timings.ratio("computed", "bare")),
                "skipped_over_floor": attrs.asdict(timings.ratio("skipped", "floor")),
            }
            for backend, timings in steps.items()
        },
        "held": [{"predictor": h.predictor, "residuals": h.bytes / h.residual_bytes} for h in held],
        "mini_loop": loop or None,
    }
    table = Table("step", *steps, title=f"STDiT3 of hidden 384, depth 4; {rounds} paired rounds, median ms")
    for name, frames in (("bare", SHORT), ("computed", SHORT), ("skipped", LONG), ("floor", LONG)):
        table.add_row(f"{name}, {frames * 128} tokens", *(f"{timings.median(name):.2f}" for timings in steps.values()))
    table.add_section()
    for over, under in (("computed", "bare"), ("skipped", "floor")):
        table.add_row(f"{over} / {under}", *(str(timings.ratio(over, under)) for timings in steps.values()))
    out = console(json_file)
    out.print(content["machine"])
    out.print(table)
    if loop:
        out.print(f"MagCache run of opensora-mini / its parts  {loop['over_its_parts']:.3f}   {loop['pattern']}")
    for h in held:
        out.print(f"{h.predictor} holds {h.bytes / h.residual_bytes:g} residual(s)")
    write_json(content, json_file)


def compiled(backend: str) -> Callable[[nn.Module], nn.Module]:
    """What makes a model run so."""
    import torch

    def prepare(module: nn.Module) -> nn.Module:
        return module if backend == "eager" else torch.compile(module, backend=backend, fullgraph=True, dynamic=False)  # type: ignore[return-value]

    return prepare


def random_stdit3(device: str, *, hidden: int = 384, depth: int = 4) -> STDiT3:
    """A seeded STDiT3."""
    import torch

    from cachekit.opensora.stdit3 import STDiT3, STDiT3Config

    torch.manual_seed(0)
    config = STDiT3Config(hidden_size=hidden, depth=depth, num_heads=6, caption_channels=64, model_max_length=32)
    return STDiT3(config).eval().requires_grad_(False).to(device)


def guided_call(device: str, *, frames: int) -> Callable[[nn.Module], object]:
    """A call with latents `[2, 4, frames, 16, 16]`, which are twice 64 tokens a frame; its timestep falls each time."""
    import torch

    generator = torch.Generator().manual_seed(0)
    side = torch.full((2,), 128.0, device=device)
    inputs: dict[str, torch.Tensor] = {
        "x": torch.randn(2, 4, frames, 16, 16, generator=generator).to(device),
        "timestep": torch.full((2,), 1000.0, device=device),
        "y": torch.randn(2, 1, 32, 64, generator=generator).to(device),
        "fps": torch.full((2,), 24.0, device=device),
        "height": side,
        "width": side,
    }

    def call(model: nn.Module) -> object:
        inputs["timestep"] *= 0.999
        with torch.no_grad():
            output = model(**inputs)
        if output.is_cuda:
            torch.cuda.synchronize()
        return output

    return call


def mini_loops(device: str, rounds: int, told: Told) -> tuple[Timings, str]:
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
    return loop_timings(pipeline.transformer, loop, attached, rounds, told), pattern
