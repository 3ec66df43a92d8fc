"""`cachekit calibrate`: a strategy's measured parameters, from uncached runs of a model."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Callable, Mapping
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import click

from cachekit.cli.clustering import Clustered, at_work, clustered, ray_options
from cachekit.cli.command_line import command_line
from cachekit.cli.options import (
    json_option,
    model_options,
    plugin_option,
    prompt_options,
    sampling_options,
    videos_per_prompt_option,
)
from cachekit.cli.results import RESULT, Command
from cachekit.cli.sharing import share_option
from cachekit.errors import CachekitError
from cachekit.files.text import plain

if TYPE_CHECKING:
    from cachekit.calibration.job import CalibrationJob
    from cachekit.generation.generate import Request
    from cachekit.interface.calibrator import Calibrator
    from cachekit.interface.model import Pipeline
    from cachekit.profiles.profile import Profile
    from cachekit.scaling.runs import RunJob
    from cachekit.scaling.shares import Share


@click.command(cls=Command)
@click.argument("words", nargs=-1, required=True, metavar="STRATEGY | --merge PROFILE PROFILE...")
@click.option("--merge", is_flag=True, help="Add up the evidence of the profiles named.")
@model_options
@prompt_options
@sampling_options
@videos_per_prompt_option
@click.option("--out", type=RESULT, required=True, metavar="FILE", help="The profile to write.")
@share_option
@ray_options
@plugin_option
@json_option
@click.pass_context
def calibrate(
    context: click.Context,
    /,
    words: tuple[str, ...],
    merge: bool,
    out: str,
    shard: str | None,
    ray_address: str | None,
    gpus_per_worker: float | None,
    workers: int | None,
    json_file: str | None,
    **options: Any,
) -> None:
    """Measure a strategy's profile on uncached runs of a model, or merge profiles measured in shards.

    Without prompts, the model's calibration prompts are run. Of several shares the last to be done writes the profile.
    """
    from cachekit.calibration.calibrate import calibrator_for
    from cachekit.cli.sharing import chosen_share

    command = command_line(context)
    if merge:
        if shard is not None or ray_address is not None:
            raise CachekitError("--merge is done by one process; leave --shard and --ray out")
        profile = merged(words, command)
        assert profile.conditions is not None
        calibrator = calibrator_for(profile.strategy, profile.conditions)
        calibrator.absorb(profile.evidence)
    else:
        if len(words) != 1:
            raise CachekitError(f"calibrate takes one strategy, not {len(words)}; to add up profiles, say --merge")
        with clustered(ray_address, gpus_per_worker, workers, shard) as cluster:
            share = None if cluster else chosen_share(shard)
            job, evidence = measured(words[0], Path(out), share, cluster, **options)
        to_come = [run for key, run in zip(job.keys, job.runs, strict=True) if key not in evidence]
        if to_come:
            show_to_come(Path(out), share, len(job.runs), len(to_come), json_file)
            return
        profile, calibrator = job.profile(evidence, command, versions())
    profile.save(Path(out))
    show(Path(out), profile, calibrator, json_file)


def merged(files: tuple[str, ...], command: str) -> Profile:
    """The profile of all that these files' runs showed."""
    from cachekit.calibration.merge import merge_profiles
    from cachekit.profiles.profile import load_profile

    if len(set(files)) < len(files):
        raise CachekitError("a profile is named twice, which would count its runs double; name each once")
    return merge_profiles({file: load_profile(Path(file)) for file in files}, command)


def measured(
    strategy: str,
    out: Path,
    share: Share | None,
    cluster: Clustered | None,
    *,
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
) -> tuple[CalibrationJob, Mapping[str, Any]]:
    """What was to be calibrated, and the evidence of the runs that are done by now, the other shares' among them."""
    from cachekit.calibration.calibrate import calibrated_strategy, calibrator_for, conditions_of, requirements
    from cachekit.calibration.job import CalibrationJob, CalibrationRun
    from cachekit.cli.choices import choose_device, choose_model, load_pipeline
    from cachekit.generation.generate import make_requests
    from cachekit.generation.prompts import collect_prompts
    from cachekit.profiles.profile import ProfiledModel
    from cachekit.registry.plugins import get_plugins
    from cachekit.scaling.ledger import Ledger
    from cachekit.scaling.runs import RunJob

    calibrated_strategy(strategy)
    chosen = choose_model(
        model_spec, get_plugins(), {"weights": weights, "offload": offload, "spacing": spacing, "solver": solver}
    )
    model = chosen.model
    texts = collect_prompts(prompts, prompts_from) or list(model.calibration_prompts or model.example_prompts)
    requests = make_requests(list(dict.fromkeys(texts)), seed, videos_per_prompt)
    used_device = cluster.device(device) if cluster else choose_device(device)
    used_dtype = dtype or model.dtype
    pipeline = load_pipeline(model, texts, device="cpu" if cluster else used_device, dtype=used_dtype)
    scale = model.guidance_scale if guidance_scale is None else guidance_scale
    conditions = conditions_of(pipeline, steps=steps or model.steps, guidance_scale=scale)
    calibrator_for(strategy, conditions)
    job = CalibrationJob(
        strategy=strategy,
        model=ProfiledModel(
            model.transformer_class, model.architecture(), name=chosen.name, requires=requirements(model.traits())
        ),
        sampler=model.sampler,
        conditions=conditions,
        device=used_device,
        dtype=used_dtype,
        runs=tuple(CalibrationRun(request.prompt, request.seed) for request in requests),
    )
    runs = dict(zip(job.keys, requests, strict=True))
    if cluster:
        with Ledger.open(runs_folder(out), job.as_record(), None) as ledger:
            mine = {key: run for key, run in runs.items() if key not in ledger.done}
            watch_dealt(cluster, RunJob(model, strategy, conditions, used_device, used_dtype), mine, ledger.add)
        if len(ledger.done) == len(runs):
            shutil.rmtree(runs_folder(out), ignore_errors=True)
        return job, ledger.done
    if share is None:
        evidence: dict[str, Any] = {}
        watch_all(pipeline, job, runs, evidence.__setitem__)
        return job, evidence
    with Ledger.open(runs_folder(out), job.as_record(), share) as ledger:
        mine = {key: runs[key] for key in share.deal(job.keys) if key not in ledger.done}
        watch_all(pipeline, job, mine, ledger.add)
        ledger.look_again()
        return job, ledger.done


def watch_all(
    pipeline: Pipeline, job: CalibrationJob, runs: Mapping[str, Request], keep: Callable[[str, Any], None]
) -> None:
    """Watch these runs one after another, and keep each one's evidence as it is done."""
    from cachekit.calibration.calibrate import evidence_of
    from cachekit.cli.progress import progress

    with progress(len(runs)) as shown:
        for key, request in runs.items():
            shown.start(request.prompt)
            told = partial(shown.step, total=job.conditions.steps)
            keep(key, evidence_of(pipeline, job.strategy, request, job.conditions, told))
            shown.finish(f"seed {request.seed}: {request.prompt}")


def watch_dealt(cluster: Clustered, job: RunJob, runs: Mapping[str, Request], keep: Callable[[str, Any], None]) -> None:
    """Watch these runs by the workers of a cluster; CachekitError, at the end, where one of them failed."""
    from cachekit.cli.progress import progress
    from cachekit.scaling.runs import Runs
    from cachekit.scaling.worker import Failed

    failures: list[str] = []
    with progress(len(runs)) as shown:
        for done in cluster.fleet(job).deal(Runs.of(runs)):
            request: Request = done.piece
            if isinstance(done.result, Failed):
                failures.append(f"the run of {request.prompt!r} with seed {request.seed} failed: {done.result.reason}")
                line = failures[-1]
            else:
                keep(done.tag, done.result)
                line = f"seed {request.seed}: {request.prompt}"
            shown.start(f"{at_work(done, len(failures))}{request.prompt}")
            shown.finish(line)
    if failures:
        raise CachekitError(f"{failures[0]}; {len(failures)} of {len(runs)} runs failed, the others are kept")


def runs_folder(out: Path) -> Path:
    """Where the shares of a profile keep what they saw of each run."""
    return out.with_suffix(".runs")


def show_to_come(out: Path, share: Share | None, runs: int, to_come: int, json_file: str | None) -> None:
    """That a share is done, and what is left for the others."""
    from cachekit.cli.report import console, write_json

    shown = console(json_file)
    shown.print(
        f"{share} is done: {runs - to_come} of {runs} runs are in {runs_folder(out)}; the last share to be done "
        f"writes {out}, and `cachekit gather` joins such folders of several machines",
    )
    write_json({"file": None, "folder": str(runs_folder(out)), "runs": runs, "to_come": to_come}, json_file)


def versions() -> dict[str, str]:
    libraries = ("cachekit-dit", "numpy", "torch")
    return {"python": platform.python_version(), **{name: metadata.version(name) for name in libraries}}


def show(out: Path, profile: Profile, calibrator: Calibrator, json_file: str | None) -> None:
    """What was measured, for people and as JSON."""
    from cachekit.cli.report import console, write_json

    shown = console(json_file)
    runs = len(profile.made["runs"])
    shown.print(
        f"{out}: {profile.strategy} on {profile.model}, {profile.steps} steps, "
        f"guidance {profile.guidance_scale:g}, {runs} run{'s' if runs != 1 else ''}",
    )
    for name, figure in calibrator.figures().items():
        shown.print(f"{name} {figure:.4f}" if isinstance(figure, float) else f"{name} {figure}")
    for warning in calibrator.warnings():
        click.echo(f"cachekit: warning: {plain(warning)}", err=True)
    write_json({"file": str(out), "warnings": calibrator.warnings(), **attrs.asdict(profile)}, json_file)
