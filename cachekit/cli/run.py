"""`cachekit run`: videos from prompts, with a strategy or without."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import click
from click.core import ParameterSource

from cachekit.cli.clustering import Clustered, at_work, clustered, ray_options
from cachekit.cli.config import config_option
from cachekit.cli.options import (
    json_option,
    model_options,
    plugin_option,
    prompt_options,
    sampling_options,
    videos_per_prompt_option,
)
from cachekit.cli.results import Command
from cachekit.cli.sharing import share_option
from cachekit.errors import CachekitError

MANY = 50
"""Videos asked for beyond which those that are there already are counted, not listed."""

if TYPE_CHECKING:
    from rich.console import Console

    from cachekit.generation.generate import Cache, Outcome, Request
    from cachekit.generation.manifest import Manifest, Setting
    from cachekit.interface.model import Model, Pipeline
    from cachekit.scaling.videos import Way


@click.command(cls=Command)
@click.option(
    "--strategy", default="magcache", show_default=True, metavar="NAME", help="When to skip; none for no cache."
)
@click.option(
    "--set", "settings", multiple=True, metavar="NAME=VALUE", help="A parameter of the strategy (repeatable)."
)
@click.option("--predictor", metavar="NAME[:FIELD=VALUE]", help="What to put in place of a skipped step.")
@click.option("--profile", type=click.Path(dir_okay=False), help="Measured parameters to use in place of the shipped.")
@prompt_options
@model_options
@sampling_options
@videos_per_prompt_option
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("out"), show_default=True, help="Folder of the videos."
)
@click.option(
    "--names",
    type=click.Choice(["cachekit", "vbench"]),
    default="cachekit",
    show_default=True,
    help="vbench: PROMPT-INDEX.mp4, 5 a prompt, for VBench's own evaluator.",
)
@click.option("--format", "video_format", type=click.Choice(["mp4", "mkv"]), default="mp4", show_default=True)
@click.option("--overwrite", is_flag=True, help="Make the folder's videos anew.")
@share_option
@ray_options
@click.option("--verify", is_flag=True, help="Compare the checksums of all videos that are there already.")
@config_option
@plugin_option
@json_option
@click.pass_context
def run(
    context: click.Context,
    /,
    strategy: str,
    settings: tuple[str, ...],
    predictor: str | None,
    profile: str | None,
    prompts: tuple[str, ...],
    prompts_from: str | None,
    model_spec: str,
    weights: str | None,
    offload: bool,
    steps: int | None,
    spacing: float | None,
    solver: str | None,
    guidance_scale: float | None,
    seed: int,
    videos_per_prompt: int,
    out: Path,
    names: str,
    video_format: str,
    device: str,
    dtype: str | None,
    overwrite: bool,
    shard: str | None,
    ray_address: str | None,
    gpus_per_worker: float | None,
    workers: int | None,
    verify: bool,
    json_file: str | None,
) -> int:
    """Make videos from prompts, with a strategy or without.

    Without prompts, the model's examples are made. The same command again goes on where a run was stopped.
    """
    from cachekit.cli.choices import choose_cache, choose_device, choose_model, load_pipeline, uncached_setting
    from cachekit.cli.report import console, write_json
    from cachekit.cli.sharing import chosen_share, manifest_name
    from cachekit.generation.generate import look_at_folder, make_requests, prepare_folder
    from cachekit.generation.prompts import collect_prompts
    from cachekit.generation.vbench_folder import FORMAT, VIDEOS_PER_PROMPT, manifest_at_hand, vbench_requests
    from cachekit.registry.parameters import as_record, parse_settings
    from cachekit.registry.plugins import get_plugins
    from cachekit.scaling.videos import Way

    with clustered(ray_address, gpus_per_worker, workers, shard) as cluster:
        share = None if cluster else chosen_share(shard)
        if share and overwrite:
            raise CachekitError(
                f"--overwrite would clear the other shares' videos away, and this is {share}; "
                "choose another --out, or remove the folder first"
            )
        plugins = get_plugins()
        chosen = choose_model(
            model_spec, plugins, {"weights": weights, "offload": offload, "spacing": spacing, "solver": solver}
        )
        model = chosen.model
        step_count = steps or model.steps
        cache = choose_cache(strategy, parse_settings(settings), predictor, profile, chosen, step_count, plugins)
        texts = collect_prompts(prompts, prompts_from) or list(model.example_prompts)
        if names == "vbench":
            if video_format != FORMAT:
                raise CachekitError(f"VBench reads {FORMAT}, not {video_format}; leave out --format")
            if share:
                raise CachekitError(
                    "a folder that VBench reads holds no shares' manifests; leave out --names or --shard"
                )
            requests = vbench_requests(texts, seed, _given("videos_per_prompt", videos_per_prompt) or VIDEOS_PER_PROMPT)
        else:
            requests = make_requests(texts, seed, videos_per_prompt)
        requests = share.deal(requests) if share else requests
        setting = attrs.evolve(
            uncached_setting(
                chosen,
                steps=steps,
                guidance_scale=guidance_scale,
                device=cluster.device(device) if cluster else choose_device(device),
                dtype=dtype,
                video_format=video_format,
            ),
            strategy=strategy.partition(":")[0],
            predictor=cache.predictor_spec(plugins) if cache else None,
            params=as_record(cache.params) if cache else {},
        )
        look_at_folder(out, setting, overwrite=overwrite)
        peak = None
        if names == "vbench":
            context.with_resource(manifest_at_hand(out))
        if cluster:
            with prepare_folder(out, setting, overwrite=overwrite) as manifest:
                outcomes = dealt(cluster, model, requests, Way(setting, cache), manifest, verify=verify)
        else:
            pipeline = load_pipeline(
                model, [request.prompt for request in requests], device=setting.device, dtype=setting.dtype
            )
            with prepare_folder(out, setting, overwrite=overwrite, name=manifest_name(share)) as manifest:
                outcomes = made_here(pipeline, requests, cache, setting, manifest, verify=verify)
            peak = pipeline.peak_memory_bytes()
    shown_to = console(json_file)
    show_table(shown_to, out, outcomes)
    if peak is not None:
        shown_to.print(f"peak memory {peak / 2**20:,.0f} MiB")
    write_json({**summary(setting, outcomes), "peak_memory_bytes": peak}, json_file)
    return 1 if any(outcome.failure for outcome in outcomes) else 0


def made_here(
    pipeline: Pipeline,
    requests: Sequence[Request],
    cache: Cache | None,
    setting: Setting,
    manifest: Manifest,
    *,
    verify: bool,
) -> list[Outcome]:
    """What came of each request, made one after another by this process."""
    from cachekit.cli.progress import progress
    from cachekit.generation.generate import generate_folder

    outcomes, many = [], len(requests) > MANY
    with progress(len(requests)) as shown:

        def on_step(request: object, done: int) -> None:
            shown.step(done, setting.steps)

        work = generate_folder(pipeline, requests, cache, setting, manifest, on_step=on_step, verify=verify)
        for request in requests:
            shown.start(request.prompt)
            outcome = next(work)
            outcomes.append(outcome)
            shown.finish("" if outcome.reused and many else outcome_line(outcome))
    return outcomes


def dealt(
    cluster: Clustered, model: Model, requests: Sequence[Request], way: Way, manifest: Manifest, *, verify: bool
) -> list[Outcome]:
    """What came of each request, made by the workers of a cluster."""
    from cachekit.cli.progress import progress
    from cachekit.scaling.videos import VideoJob, deal_folder

    fleet = cluster.fleet(VideoJob(model, way.setting.device, way.setting.dtype))
    outcomes: dict[Request, Outcome] = {}
    failed, many = 0, len(requests) > MANY
    with progress(len(requests)) as shown:
        for outcome, done in deal_folder(fleet, requests, way, manifest, verify=verify):
            outcomes[outcome.request] = outcome
            failed += outcome.entry is None
            line = "" if outcome.reused and many else outcome_line(outcome)
            shown.start(f"{at_work(done, failed)}{outcome.request.prompt}")
            shown.finish(line)
    return [outcomes[request] for request in requests]


def _given(name: str, value: int) -> int | None:
    """An option's value; None where it is the option's own default."""
    source = click.get_current_context().get_parameter_source(name)
    return None if source is ParameterSource.DEFAULT else value


def outcome_line(outcome: Outcome) -> str:
    if outcome.entry is None:
        return f"{outcome.request.name}: failed: {outcome.failure}"
    how = "there already" if outcome.reused else f"{total_seconds(outcome):.1f} s"
    return f"{outcome.entry.file}  {outcome.entry.pattern}  {how}"


def total_seconds(outcome: Outcome) -> float:
    return sum(attrs.astuple(outcome.entry.seconds)) if outcome.entry else 0.0


def show_table(shown: Console, folder: Path, outcomes: list[Outcome]) -> None:
    """A row a video, and the sum."""
    from rich.table import Table

    table = Table("video", "pattern", "skipped", "denoising s", "total s", title=f"videos in {folder}")
    made = [outcome.entry for outcome in outcomes if outcome.entry]
    there = [outcome for outcome in outcomes if outcome.reused] if len(outcomes) > MANY else []
    if there:
        table.add_row(f"{len(there):,} videos there already", "", "", "", "")
    for outcome in outcomes:
        entry = outcome.entry
        if outcome.reused and there:
            continue
        if entry is None:
            table.add_row(outcome.request.name, f"failed: {outcome.failure}", "", "", "")
            continue
        skipped = f"{entry.pattern.count('.')} of {len(entry.pattern)}"
        times = (f"{entry.seconds.denoising:.2f}", f"{total_seconds(outcome):.2f}")
        table.add_row(entry.file, entry.pattern, skipped, *times)
    steps, skipped_steps = sum(len(e.pattern) for e in made), sum(e.pattern.count(".") for e in made)
    table.add_section()
    table.add_row(
        f"{len(made)} of {len(outcomes)} videos",
        f"ideal speedup {steps / max(1, steps - skipped_steps):.2f}",
        f"{skipped_steps} of {steps}",
        f"{sum(e.seconds.denoising for e in made):.2f}",
        f"{sum(map(total_seconds, outcomes)):.2f}",
    )
    shown.print(table)


def summary(setting: object, outcomes: list[Outcome]) -> dict[str, Any]:
    """The same as data."""
    return {
        "setting": attrs.asdict(setting),  # type: ignore[arg-type]
        "videos": [
            {**attrs.asdict(o.entry, filter=lambda a, _: a.name != "setting"), "reused": o.reused}
            for o in outcomes
            if o.entry
        ],
        "failures": [
            {"prompt": o.request.prompt, "seed": o.request.seed, "error": o.failure} for o in outcomes if o.failure
        ],
    }
