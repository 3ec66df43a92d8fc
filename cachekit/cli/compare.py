"""`cachekit compare`: settings and baselines on the same prompts and seeds, judged and reported."""

from __future__ import annotations

from pathlib import Path

import attrs
import click

from cachekit.cli.clustering import clustered, ray_options
from cachekit.cli.command_line import command_line
from cachekit.cli.config import config_option
from cachekit.cli.options import (
    MOST_STEPS,
    ModelWords,
    PromptWords,
    SamplingWords,
    Whole,
    json_option,
    model_options,
    plugin_option,
    prompt_options,
    sampling_options,
    videos_per_prompt_option,
)
from cachekit.cli.results import Command
from cachekit.cli.sharing import share_option

DEFAULT_STRATEGIES = ("magcache", "teacache")
MOST_PREVIEWS = 1_000_000


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
    help="Predictors to run every strategy with; `own` is each strategy's own  [default: own].",
)
@click.option(
    "--baselines",
    metavar="COUNTS",
    help="Numbers of steps of the baselines, separated by commas  [default: every number of computed steps].",
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
@click.option(
    "--previews",
    type=Whole(0, MOST_PREVIEWS),
    metavar="N",
    help="Play the videos of the first N prompts and seeds on the page, which takes a copy of each  [default: all].",
)
@share_option
@ray_options
@config_option
@plugin_option
@json_option
@click.pass_context
def compare(
    context: click.Context,
    /,
    strategies: tuple[str, ...],
    predictors: tuple[str, ...],
    baselines: str | None,
    profiles: tuple[str, ...],
    asked_model: ModelWords,
    asked_prompts: PromptWords,
    sampling: SamplingWords,
    videos_per_prompt: int,
    video_format: str,
    metrics: str | None,
    lpips_weights: str | None,
    report: Path,
    reference_steps: int | None,
    previews: int | None,
    shard: str | None,
    ray_address: str | None,
    gpus_per_worker: float | None,
    workers: int | None,
    json_file: str | None,
) -> int:
    """Run the uncached model and a grid of settings on the same prompts and seeds, judge them, and write a report.

    Beside the settings run baselines, at each number of computed steps that occurs or at those of --baselines: the
    model with fewer steps, even, spaced well and by better solvers, and computing at equal intervals. The same command
    again goes on where it was stopped; with another setting, only that one runs. Without prompts, the model's examples
    are made. Of several shares the last to be done writes the report.
    """
    from cachekit.cli.comparing import Asked, run_comparison, show_comparison
    from cachekit.cli.progress import progress
    from cachekit.cli.sharing import chosen_share
    from cachekit.comparison.page import check_page_can_be_made

    check_page_can_be_made()
    asked = Asked(
        strategies=strategies or DEFAULT_STRATEGIES,
        predictors=predictors,
        baselines=baselines,
        profiles=profiles,
        **attrs.asdict(asked_model),
        **attrs.asdict(sampling),
        prompts=tuple(asked_prompts.collected()),
        videos_per_prompt=videos_per_prompt,
        video_format=video_format,
        metrics=metrics,
        lpips_weights=lpips_weights,
        reference_steps=reference_steps,
        previews=previews,
        command=command_line(context),
    )
    with clustered(ray_address, gpus_per_worker, workers, shard) as cluster, progress(0) as shown:
        share = None if cluster else chosen_share(shard)
        done = run_comparison(asked, report, shown, share, cluster=cluster)
    return show_comparison(done, report, share, json_file)
