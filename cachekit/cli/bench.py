"""`cachekit bench`: what attaching costs on this machine."""

from __future__ import annotations

import platform
from functools import partial
from typing import TYPE_CHECKING, Any

import attrs
import click

from cachekit.cli.options import MOST_STEPS, MOST_THREADS, Whole, json_option, model_option, plugin_option
from cachekit.cli.results import Command

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

    from cachekit.attaching.benchmark import Timings

BACKENDS = ("eager", "inductor")


@click.command(cls=Command)
@model_option(None, "Time this model, such as diffusers:path=DIR  [default: a random STDiT3, and opensora-mini].")
@click.option(
    "--backend", "backends", type=click.Choice(BACKENDS), multiple=True,
    help="How the model runs: as it is, or compiled, which takes minutes (repeatable)  [default: both].",
)  # fmt: skip
@click.option("--rounds", type=Whole(20, 100_000), default=100, show_default=True, help="Timed rounds of single steps.")
@click.option("--loops", type=Whole(0, 10_000), default=7, show_default=True, help="Timed denoising loops.")
@click.option("--steps", type=Whole(1, MOST_STEPS), help="Steps of a loop of --model  [default: the model's].")
@click.option("--threads", type=Whole(1, MOST_THREADS), help="torch threads  [default: torch's].")
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True)
@click.option("--dtype", type=click.Choice(["float32", "bfloat16", "float16"]), help="Of --model  [default: its own].")
@plugin_option
@json_option
def bench(
    model_spec: str | None,
    backends: tuple[str, ...],
    rounds: int,
    loops: int,
    steps: int | None,
    threads: int | None,
    device: str,
    dtype: str | None,
    json_file: str | None,
) -> None:
    """Measure what attaching costs on this machine.

    Single steps run on a randomly initialised STDiT3 of hidden 384 and depth 4, as it is and compiled with inductor;
    the denoising loop on opensora-mini under MagCache. With --model both run on that model, the loop with every other
    step skipped. The first skipped step after a computed one finds nothing in the processor's caches, and is timed
    apart. Everything is timed in turn in one process; ratios are medians of paired rounds, with the bounds of 95 % in
    brackets: more --rounds narrow them. A bare copy of the model beside it shows how far from 1 a ratio comes by the
    timing alone.
    """
    import torch
    from rich.table import Table

    from cachekit.attaching.benchmark import held_by, keep_freed_memory, loop_ratio, loop_timings, step_timings
    from cachekit.cli.benched import of_model, shipped
    from cachekit.cli.choices import choose_device, choose_model
    from cachekit.cli.progress import progress
    from cachekit.cli.report import console, write_json
    from cachekit.registry.plugins import get_plugins

    if model_spec is None and (steps is not None or dtype is not None):
        raise click.UsageError("--steps and --dtype are for a model of your own; name it with --model")
    if threads is not None:
        torch.set_num_threads(threads)
    keep_freed_memory()
    place, plugins = choose_device(device), get_plugins()
    if model_spec is None:
        subject = shipped(place)
    else:
        subject = of_model(choose_model(model_spec, plugins, {}), device=place, dtype=dtype, steps=steps)
    backends = backends or BACKENDS
    predictors = [registration.name for registration in plugins.predictors]
    timed: dict[str, Timings] = {}
    loop: dict[str, Any] = {}
    with progress(len(backends) + 1 + (loops > 0)) as shown:
        for backend in backends:
            shown.start(f"single steps, {backend}")
            prepare = compiled(backend, subject.whole_graph)
            timed[backend] = step_timings(
                subject.transformer, subject.computing, subject.skipping, rounds, prepare, shown.step
            )
            shown.finish(f"single steps, {backend}: computed / bare {timed[backend].ratio('computed', 'bare')}")
        shown.start("what predictors hold")
        small, step = subject.small
        held = held_by(small, partial(step, small), predictors)
        shown.finish("what predictors hold")
        if loops:
            shown.start("denoising loops")
            run = subject.loop()
            pattern = run.pattern
            timings = loop_timings(run.transformers, run.run, run.attached, loops, shown.step)
            ratio = loop_ratio(timings, pattern.count("X"), len(pattern))
            medians = {name: timings.median(name) for name in timings.rounds}
            loop = {"pattern": pattern, "rounds": loops, "milliseconds": medians, "over_its_parts": ratio}
            shown.finish(f"denoising loops: {run.title} / its parts {ratio:.3f}")
    content: dict[str, Any] = {
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads, {place}, torch {torch.__version__}",
        "model": subject.title,
        "rounds": rounds,
        "steps": {
            backend: {
                "milliseconds": {name: timings.median(name) for name in timings.rounds},
                "computed_over_bare": attrs.asdict(timings.ratio("computed", "bare")),
                "bare_over_bare": attrs.asdict(timings.ratio("again", "bare")),
                "skipped_over_floor": attrs.asdict(timings.ratio("skipped", "floor")),
                "first_skipped_over_floor": attrs.asdict(timings.ratio("first skipped", "first floor")),
            }
            for backend, timings in timed.items()
        },
        "held": [{"predictor": h.predictor, "residuals": h.bytes / h.residual_bytes} for h in held],
        "loop": loop or None,
    }
    table = Table("step", *timed, title=f"{subject.title}; {rounds} paired rounds, median ms")
    for name in ("bare", "computed", "skipped", "floor", "first skipped", "first floor"):
        table.add_row(name, *(f"{timings.median(name):.2f}" for timings in timed.values()))
    table.add_section()
    for title, over, under in (
        ("computed / bare", "computed", "bare"),
        ("a copy of bare / bare", "again", "bare"),
        ("skipped / floor", "skipped", "floor"),
        ("first skipped / floor", "first skipped", "first floor"),
    ):
        table.add_row(title, *(str(timings.ratio(over, under)) for timings in timed.values()))
    out = console(json_file)
    out.print(content["machine"])
    out.print(table)
    if loop:
        out.print(f"{run.title} / its parts  {loop['over_its_parts']:.3f}   {loop['pattern']}")
    for h in held:
        out.print(f"{h.predictor} holds {h.bytes / h.residual_bytes:g} residual(s)")
    write_json(content, json_file)


def compiled(backend: str, whole_graph: bool) -> Callable[[nn.Module], nn.Module]:
    """What makes a model run so."""
    import torch

    def prepare(module: nn.Module) -> nn.Module:
        if backend == "eager":
            return module
        return torch.compile(module, backend=backend, fullgraph=whole_graph, dynamic=False)  # type: ignore[return-value]

    return prepare
