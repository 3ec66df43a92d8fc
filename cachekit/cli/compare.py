"""`cachekit compare`: settings and baselines on the same prompts and seeds, judged and reported."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import click

from cachekit.cli.command_line import command_line
from cachekit.cli.config import config_option
from cachekit.cli.options import (
    MOST_STEPS,
    Whole,
    json_option,
    model_options,
    plugin_option,
    prompt_options,
    sampling_options,
    videos_per_prompt_option,
)
from cachekit.cli.results import Command
from cachekit.errors import CachekitError

if TYPE_CHECKING:
    from cachekit.cli.choices import ChosenModel
    from cachekit.comparison.contenders import Contender, ResolveCache
    from cachekit.generation.generate import Cache
    from cachekit.registry.grid import Choice
    from cachekit.registry.plugins import PluginManager

DEFAULT_STRATEGIES = ("magcache", "teacache")


@click.command(cls=Command)
@click.option(
    "--strategy",
    "strategies",
    multiple=True,
    metavar="NAME[:FIELD=VALUE,...]",
    help="A strategy to compare; a comma is a sweep (repeatable)  [default: magcache and teacache].",
)
@click.option(
    "--predictor",
    "predictors",
    multiple=True,
    metavar="NAME[:FIELD=VALUE],...",
    help="Predictors to run every strategy with  [default: each strategy's own].",
)
@click.option(
    "--profile",
    "profiles",
    multiple=True,
    type=click.Path(dir_okay=False),
    help="Measured parameters of the strategy that it names, in place of the shipped (repeatable).",
)
@model_options
@prompt_options
@sampling_options
@videos_per_prompt_option
@click.option(
    "--format",
    "video_format",
    type=click.Choice(["mkv", "mp4"]),
    default="mkv",
    show_default=True,
    help="mkv is judged without loss and copied to mp4 for the page; mp4 takes less room.",
)
@click.option("--metrics", metavar="NAMES", help="Metrics, separated by commas  [default: all that can be had].")
@click.option("--lpips-weights", metavar="FILE", help="torchvision's AlexNet state dict, which LPIPS builds on.")
@click.option(
    "--report",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("report"),
    show_default=True,
    help="Folder of the report and of the videos.",
)
@click.option(
    "--reference-steps",
    type=Whole(2, MOST_STEPS),
    help="Judge everything against the model with so many steps too, which is nearer to the true solution.",
)
@config_option
@plugin_option
@json_option
@click.pass_context
def compare(
    context: click.Context,
    /,
    strategies: tuple[str, ...],
    predictors: tuple[str, ...],
    profiles: tuple[str, ...],
    model_spec: str,
    weights: str | None,
    offload: bool,
    prompts: tuple[str, ...],
    prompts_from: str | None,
    steps: int | None,
    spacing: float | None,
    solver: str | None,
    guidance_scale: float | None,
    seed: int,
    videos_per_prompt: int,
    device: str,
    dtype: str | None,
    video_format: str,
    metrics: str | None,
    lpips_weights: str | None,
    report: Path,
    reference_steps: int | None,
    json_file: str | None,
) -> int:
    """Run the uncached model and a grid of settings on the same prompts and seeds, judge them, and write a report.

    Beside the settings run baselines, at each number of computed steps that occurs: the model with fewer steps, even,
    spaced well and by better solvers, and computing at equal intervals. The same command again goes on where it was
    stopped; with another setting, only that one runs. Without prompts, the model's examples are made.
    """
    from cachekit.attaching.attach import all_profiles
    from cachekit.cli.choices import choose_model, load_pipeline, uncached_setting
    from cachekit.cli.comparison_table import show_table
    from cachekit.cli.progress import progress
    from cachekit.cli.report import console, write_json
    from cachekit.comparison.collecting import collect
    from cachekit.comparison.contenders import Field
    from cachekit.comparison.machine import machine_name
    from cachekit.comparison.page import REFERENCE, check_page_can_be_made, write_report
    from cachekit.comparison.quality import Judge
    from cachekit.comparison.results import as_json
    from cachekit.comparison.running import Runner
    from cachekit.comparison.spacing import FILE as SPACINGS
    from cachekit.comparison.spacing import PROMPTS, Spacings, known_spacings
    from cachekit.files.locking import owned
    from cachekit.files.text import plain
    from cachekit.files.writing import check_folder, make_folder
    from cachekit.generation.checked_model import architecture_of, timesteps_of
    from cachekit.generation.generate import make_requests
    from cachekit.generation.prompts import collect_prompts
    from cachekit.registry.grid import Choice, expand, grid
    from cachekit.registry.parameters import parse_spec
    from cachekit.registry.plugins import get_plugins

    check_page_can_be_made()
    plugins = get_plugins()
    chosen = choose_model(
        model_spec, plugins, {"weights": weights, "offload": offload, "spacing": spacing, "solver": solver}
    )
    model = chosen.model
    base = uncached_setting(
        chosen,
        steps=steps,
        guidance_scale=guidance_scale,
        device=device,
        dtype=dtype,
        video_format=video_format,
    )
    field = Field(base, timesteps_of(model, base.steps), resolver(chosen, profiles, plugins), plugins)
    known = [{registration.name for registration in part} for part in (plugins.strategies, plugins.predictors)]
    choices = grid(expand(strategies or DEFAULT_STRATEGIES, known[0]), expand(predictors, known[1]))
    uncached = field.uncached()
    reference = field.reference(reference_steps) if reference_steps else None
    settings = [field.setting(strategy, predictor) for strategy, predictor in choices]
    filling = list(dict.fromkeys(setting.predictor for setting in settings if setting.predictor))

    def baselines(counts: set[int]) -> list[Contender]:
        return field.baselines(counts, [Choice(*parse_spec(predictor)) for predictor in filling])

    texts = collect_prompts(prompts, prompts_from) or list(model.example_prompts)
    requests = make_requests(list(dict.fromkeys(texts)), seed, videos_per_prompt)
    planned = {count for count in map(field.planned_count, settings) if count is not None}
    check_folder(report)
    judge = Judge(report, metrics.split(",") if metrics else None, lpips_weights)
    pipeline = load_pipeline(model, texts, device=base.device, dtype=base.dtype)
    make_folder(report)
    context.with_resource(owned(report, "cachekit compare"))
    judge.recall()
    calibration = list(model.calibration_prompts or model.example_prompts)[:PROMPTS]
    scale = base.guidance_scale
    spacings = Spacings(
        pipeline=pipeline,
        requests=make_requests(calibration, 0, 1),
        steps=base.steps,
        guidance_scale=scale,
        known=known_spacings(all_profiles(plugins), architecture_of(model), base.steps, scale),
        kept=report / SPACINGS,
        of=uncached.folder,
    )
    field = attrs.evolve(field, spacing=spacings.best)
    contenders = [uncached, *filter(None, [reference]), *settings, *baselines(planned)]
    with progress(0) as shown:
        runner = Runner(pipeline, requests, report, shown)
        runner.run(contenders, baselines)
    about = {
        "command": command_line(context),
        "model": chosen.name,
        "steps": base.steps,
        "guidance_scale": base.guidance_scale,
        "device": base.device,
        "dtype": base.dtype,
        "machine": machine_name(base.device),
        "prompts": [{"prompt": request.prompt, "seed": request.seed} for request in requests],
        "against": uncached.label,
    }
    comparison = collect(runner, uncached, judge, about)
    write_report(report, comparison)
    shown_on = console(json_file)
    show_table(shown_on, comparison)
    shown_on.print(f"report: {report / 'index.html'}")
    if reference is not None:
        other = collect(runner, reference, judge, {**about, "against": reference.label})
        write_report(report, other, stem=REFERENCE)
        shown_on.print(f"against {reference.label}:")
        show_table(shown_on, other)
        shown_on.print(f"report: {report / f'{REFERENCE}.html'}")
    for row, video in comparison.failures:
        click.echo(f"cachekit: {plain(f'{row.label}: {video.name}: {video.failure}')}", err=True)
    write_json(as_json(comparison), json_file)
    return 1 if comparison.failures else 0


def resolver(chosen: ChosenModel, profiles: tuple[str, ...], plugins: PluginManager) -> ResolveCache:
    """What makes a cache of a strategy and predictor for this model, each strategy with its profile."""
    from cachekit.cli.choices import choose_cache
    from cachekit.profiles.profile import load_profile

    by_strategy: dict[str, str] = {}
    for file in profiles:
        strategy = load_profile(Path(file)).strategy
        if strategy in by_strategy:
            raise CachekitError(f"{by_strategy[strategy]!r} and {file!r} are both profiles of {strategy}; give one")
        by_strategy[strategy] = file

    def resolve(strategy: Choice, predictor: Choice | None, steps: int) -> Cache | None:
        named = predictor.spec if predictor else None
        profile = by_strategy.get(strategy.name)
        return choose_cache(strategy.name, strategy.settings, named, profile, chosen, steps, plugins)

    return resolve
