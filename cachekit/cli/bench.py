"""`cachekit bench`: what attaching costs on this machine."""

from __future__ import annotations

import platform
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from cachekit.cli.options import MOST_STEPS, MOST_THREADS, Whole, json_option, model_option, plugin_option
from cachekit.cli.results import Command

if TYPE_CHECKING:
    from cachekit.attaching.benchmark import Timings


@click.command(cls=Command)
@model_option(None, "Time this model, such as diffusers:path=DIR  [default: a random STDiT3, and opensora-mini].")
@click.option("--rounds", type=Whole(20, 100_000), default=20, show_default=True, help="Timed rounds of single steps.")
@click.option("--loops", type=Whole(1, 10_000), default=7, show_default=True, help="Timed denoising loops.")
@click.option("--steps", type=Whole(1, MOST_STEPS), help="Steps of a loop of --model  [default: the model's].")
@click.option("--threads", type=Whole(1, MOST_THREADS), help="torch threads  [default: torch's].")
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True)
@click.option("--dtype", type=click.Choice(["float32", "bfloat16", "float16"]), help="Of --model  [default: its own].")
@click.option("--compiled/--no-compiled", default=True, help="Time a compiled model too, which takes minutes.")
@plugin_option
@json_option
def bench(
    model_spec: str | None,
    rounds: int,
    loops: int,
    steps: int | None,
    threads: int | None,
    device: str,
    dtype: str | None,
    compiled: bool,
    json_file: str | None,
) -> None:
    """Measure what attaching costs on this machine.

    Single steps run on a randomly initialised STDiT3 of hidden 384 and depth 12, as it is and compiled with inductor;
    the denoising loop on opensora-mini under MagCache. With --model both run on that model, the loop with every other
    step skipped. Everything is timed in turn in one process; ratios are medians of paired rounds.
    """
    import torch
    from rich.table import Table

    from cachekit.attaching.benchmark import held_by, loop_ratio, loop_timings, step_timings
    from cachekit.cli.benched import of_model, shipped
    from cachekit.cli.choices import choose_device, choose_model
    from cachekit.cli.progress import progress
    from cachekit.cli.report import console, write_json
    from cachekit.registry.plugins import get_plugins

    if model_spec is None and (steps is not None or dtype is not None):
        raise click.UsageError("--steps and --dtype are for a model of your own; name it with --model")
    if threads is not None:
        torch.set_num_threads(threads)
    place, plugins = choose_device(device), get_plugins()
    if model_spec is None:
        subject = shipped(place)
    else:
        subject = of_model(choose_model(model_spec, plugins, {}), device=place, dtype=dtype, steps=steps)
    transformer, call, loop = subject.transformer, subject.step, subject.loop
    models: dict[str, Any] = {"eager": transformer}
    if compiled:
        models["compiled"] = torch.compile(transformer, fullgraph=subject.whole_graph)
    predictors = [registration.name for registration in plugins.predictors]
    timed: dict[str, Timings] = {}
    with progress(len(models) + 2) as shown:
        for how, model in models.items():
            shown.start(f"single steps, {how}")
            timed[how] = step_timings(transformer, partial(call, model), rounds, shown)
            shown.finish(f"single steps, {how}: computed / bare {timed[how].ratio('computed', 'bare'):.3f}")
        shown.start("what predictors hold")
        held = held_by(transformer, partial(call, transformer), predictors)
        shown.finish("what predictors hold")
        shown.start("denoising loops")
        loops_timed = loop_timings(loop.transformers, loop.run, loop.attached, loops, shown)
        shown.finish("denoising loops")
    pattern = loop.pattern
    content: dict[str, Any] = {
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads, {place}, torch {torch.__version__}",
        "model": subject.title,
        "rounds": rounds,
        "steps": {
            how: {
                "milliseconds": {name: timings.median(name) for name in timings.rounds},
                "computed_over_bare": timings.ratio("computed", "bare"),
                "skipped_over_floor": timings.ratio("skipped", "floor"),
            }
            for how, timings in timed.items()
        },
        "held": [{"predictor": h.predictor, "bytes": h.bytes, "residual_bytes": h.residual_bytes} for h in held],
        "mini_loop" if model_spec is None else "loop": {
            "pattern": pattern,
            "rounds": loops,
            "milliseconds": {name: loops_timed.median(name) for name in loops_timed.rounds},
            "over_its_parts": (ratio := loop_ratio(loops_timed, pattern.count("X"), len(pattern))),
        },
    }
    table = Table("step", *timed, title=f"{subject.title}; {rounds} paired rounds, median ms")
    for name in ("bare", "computed", "skipped", "floor"):
        table.add_row(name, *(f"{timings.median(name):.2f}" for timings in timed.values()))
    table.add_section()
    for over, under in (("computed", "bare"), ("skipped", "floor")):
        table.add_row(f"{over} / {under}", *(f"{timings.ratio(over, under):.3f}" for timings in timed.values()))
    out = console(json_file)
    out.print(content["machine"])
    out.print(table)
    out.print(f"{loop.title} / its parts  {ratio:.3f}   {pattern}")
    for h in held:
        out.print(f"{h.predictor} holds {h.bytes:,} bytes, {h.bytes / h.residual_bytes:g} residual(s)")
    write_json(content, json_file)
