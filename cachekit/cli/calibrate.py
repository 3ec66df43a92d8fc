"""`cachekit calibrate`: a strategy's measured parameters, from uncached runs of a model."""

from __future__ import annotations

import platform
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import click

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
from cachekit.errors import CachekitError
from cachekit.files.text import plain

if TYPE_CHECKING:
    from cachekit.interface.calibrator import Calibrator
    from cachekit.profiles.profile import Profile


@click.command(cls=Command)
@click.argument("words", nargs=-1, required=True, metavar="STRATEGY | --merge PROFILE PROFILE...")
@click.option("--merge", is_flag=True, help="Add up the evidence of the profiles named.")
@model_options
@prompt_options
@sampling_options
@videos_per_prompt_option
@click.option("--out", type=RESULT, required=True, metavar="FILE", help="The profile to write.")
@plugin_option
@json_option
@click.pass_context
def calibrate(
    context: click.Context,
    /,
    words: tuple[str, ...],
    merge: bool,
    out: str,
    json_file: str | None,
    **options: Any,
) -> None:
    """Measure a strategy's profile on uncached runs of a model, or merge profiles measured in shards.

    Without prompts, the model's calibration prompts are run.
    """
    from cachekit.calibration.calibrate import calibrator_for

    command = command_line(context)
    if merge:
        profile = merged(words, command)
        assert profile.conditions is not None
        calibrator = calibrator_for(profile.strategy, profile.conditions)
        calibrator.absorb(profile.evidence)
    else:
        if len(words) != 1:
            raise CachekitError(f"calibrate takes one strategy, not {len(words)}; to add up profiles, say --merge")
        profile, calibrator = measured(words[0], command, **options)
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
    command: str,
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
) -> tuple[Profile, Calibrator]:
    """The strategy's profile on this model, and the calibrator that measured it."""
    from cachekit.calibration.calibrate import calibrated_strategy, calibrator_for, conditions_of, profile_of, watch
    from cachekit.cli.choices import choose_device, choose_model, load_pipeline
    from cachekit.cli.progress import progress
    from cachekit.generation.generate import make_requests
    from cachekit.generation.prompts import collect_prompts
    from cachekit.registry.plugins import get_plugins

    calibrated_strategy(strategy)
    chosen = choose_model(
        model_spec, get_plugins(), {"weights": weights, "offload": offload, "spacing": spacing, "solver": solver}
    )
    model = chosen.model
    texts = collect_prompts(prompts, prompts_from) or list(model.calibration_prompts or model.example_prompts)
    requests = make_requests(list(dict.fromkeys(texts)), seed, videos_per_prompt)
    used_device, used_dtype = choose_device(device), dtype or model.dtype
    pipeline = load_pipeline(model, texts, device=used_device, dtype=used_dtype)
    scale = model.guidance_scale if guidance_scale is None else guidance_scale
    conditions = conditions_of(pipeline, steps=steps or model.steps, guidance_scale=scale)
    calibrator = calibrator_for(strategy, conditions)
    with progress(len(requests)) as shown:

        def on_step(number: int, done: int) -> None:
            if done == 1:
                shown.start(requests[number].prompt)
            shown.step(done, conditions.steps)
            if done == conditions.steps:
                shown.finish(f"seed {requests[number].seed}: {requests[number].prompt}")

        watch(pipeline, calibrator, requests, conditions, on_step=on_step)
    made = {
        "command": command,
        "device": used_device,
        "dtype": used_dtype,
        "versions": versions(),
        "runs": [{"prompt": request.prompt, "seed": request.seed} for request in requests],
    }
    return profile_of(calibrator, strategy, model, chosen.name, conditions, made), calibrator


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
