"""`cachekit tune`: the best parameters and predictor of a strategy for a speed, or for a quality."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import click

from cachekit.cli.clustering import AtWork, clustered, ray_options
from cachekit.cli.command_line import command_line
from cachekit.cli.options import (
    FiniteWithin,
    ModelWords,
    PromptWords,
    SamplingWords,
    Whole,
    json_option,
    model_options,
    plugin_option,
    profile_option,
    prompt_options,
    sampling_options,
    settings_option,
)
from cachekit.cli.results import RESULT, Command
from cachekit.errors import CachekitError
from cachekit.files.reading import read_text

if TYPE_CHECKING:
    from cachekit.generation.generate import Request
    from cachekit.generation.manifest import Setting
    from cachekit.interface.model import Pipeline
    from cachekit.registry.grid import Choice
    from cachekit.tuning.space import Dimension


MOST_TRIALS = 100_000


@click.command(cls=Command)
@click.argument("strategy")
@click.option("--min-speedup", type=FiniteWithin(1), help="Seek the best PSNR at this ideal speedup or more.")
@click.option("--min-psnr", type=FiniteWithin(0), metavar="DB", help="Seek the speed at this PSNR or more.")
@click.option(
    "--search", "searched", multiple=True, metavar="NAME=LOW..HIGH", help="Where to search a parameter (repeatable)."
)
@settings_option
@click.option("--predictor", "predictors", multiple=True, metavar="NAME,...", help="To choose among  [default: all].")
@profile_option
@click.option("--trials", type=Whole(1, MOST_TRIALS), default=40, show_default=True, help="Settings tried in all.")
@model_options
@prompt_options
@click.option("--check-prompts", "check_from", metavar="FILE", help="The answer is checked on  [default: examples].")
@sampling_options
@click.option(
    "--folder", type=click.Path(path_type=Path, file_okay=False), default=Path("tune"), show_default=True,
    help="Where the search is kept, so that it can be gone on with.",
)  # fmt: skip
@click.option("--out", type=RESULT, metavar="FILE", help="Settings file  [default: in --folder].")
@ray_options
@plugin_option
@json_option
@click.pass_context
def tune(
    context: click.Context,
    /,
    strategy: str,
    min_speedup: float | None,
    min_psnr: float | None,
    searched: tuple[str, ...],
    settings: tuple[str, ...],
    predictors: tuple[str, ...],
    profile: str | None,
    trials: int,
    asked_model: ModelWords,
    asked_prompts: PromptWords,
    check_from: str | None,
    sampling: SamplingWords,
    folder: Path,
    out: str | None,
    ray_address: str | None,
    gpus_per_worker: float | None,
    workers: int | None,
    json_file: str | None,
) -> int:
    """Search a strategy's parameters, and a predictor, for the best quality at a speed or the best speed at a quality.

    It is searched on the model's calibration prompts, or on those given; parameters that are set are left alone. The
    answer is checked on prompts that the search did not see, and written as a file for `run --config`. The same
    command again goes on where it was stopped.
    """
    from cachekit.attaching.attach import resolve_predictor, resolve_strategy
    from cachekit.cli.choices import choose_asked, choose_cache, choose_device, load_pipeline, uncached_setting
    from cachekit.cli.progress import progress
    from cachekit.cli.report import console, write_json
    from cachekit.files.locking import owned
    from cachekit.files.writing import check_folder, clean_leftovers, make_folder
    from cachekit.generation.checked_model import architecture_of, timesteps_of
    from cachekit.generation.generate import Cache, make_requests
    from cachekit.generation.prompts import collect_prompts
    from cachekit.registry.grid import expand
    from cachekit.registry.parameters import parse_settings
    from cachekit.registry.plugins import get_plugins
    from cachekit.tuning.answer import Answer, as_dict, nothing_met, said, write_settings
    from cachekit.tuning.bar import Bar
    from cachekit.tuning.dealing import DealtGauge
    from cachekit.tuning.measuring import Gauge
    from cachekit.tuning.search import STUDY, Search, need_optuna, open_study
    from cachekit.tuning.space import space_of

    if (min_speedup is None) == (min_psnr is None):
        raise CachekitError("say what must be reached: either --min-speedup or --min-psnr")
    need_optuna()
    at_work = context.with_resource(ExitStack())
    cluster = at_work.enter_context(clustered(ray_address, gpus_per_worker, workers, None))
    plugins = get_plugins()
    bar, fixed = Bar(min_speedup, min_psnr), parse_settings(settings)
    space = space_of(plugins.strategies[strategy].value, strategy, fixed, searched)
    names = [registration.name for registration in plugins.predictors]
    filling = expand(predictors or names, names)
    chosen = choose_asked(asked_model, sampling, plugins)
    model = chosen.model
    base = uncached_setting(
        chosen,
        steps=sampling.steps,
        guidance_scale=sampling.guidance_scale,
        device=cluster.device(asked_model.device) if cluster else choose_device(asked_model.device),
        dtype=asked_model.dtype,
        video_format="mkv",
    )

    def resolve(choice: Choice, predictor: Choice | None, step_count: int) -> Cache | None:
        named = predictor.spec if predictor else None
        return choose_cache(choice.name, choice.settings, named, profile, chosen, step_count, plugins)

    sizes = (model.transformer_class, architecture_of(model))
    untuned = resolve_strategy(strategy, fixed, plugins, *sizes, steps=base.steps, profile=profile)
    for predictor in filling:
        resolve_predictor(predictor.spec, untuned, plugins)
    texts = asked_prompts.collected() or list(model.calibration_prompts or model.example_prompts)
    unseen = [text for text in collect_prompts((), check_from) or model.example_prompts if text not in texts]
    if not unseen:
        raise CachekitError("no prompt is left to check the answer on; name some others with --check-prompts")
    requests, checks = (make_requests(list(dict.fromkeys(part)), sampling.seed, 1) for part in (texts, unseen))
    check_folder(folder)
    choices = {"strategy": strategy, "set": fixed, "bar": str(bar)}
    conditions = conditions_of(base, choices, profile, space, filling, requests)

    @lru_cache
    def pipeline() -> Pipeline:
        return load_pipeline(model, [*texts, *unseen], device=base.device, dtype=base.dtype)

    if (folder / STUDY).exists():
        context.with_resource(owned(folder, "cachekit tune"))
        study = open_study(folder, conditions)
    else:
        if not cluster:
            pipeline()
        make_folder(folder)
        context.with_resource(owned(folder, "cachekit tune"))
        study = open_study(folder, conditions)
    clean_leftovers(folder)
    search = Search(
        strategy, fixed, space, filling, bar, resolve, base.steps, timesteps_of(model, base.steps), study, sampling.seed
    )
    with progress(len(requests) + max(0, trials - len(search.finished()))) as shown:

        def on_video(request: Request) -> None:
            shown.start(request.prompt)
            shown.finish(f"uncached: {request.name}")

        if cluster:
            dealt = DealtGauge(model, requests, base, folder / "uncached", cluster.fleet, AtWork(), shown)
            dealt.prepare(on_video)
            dealt.search(search, trials)
        else:
            gauge = Gauge(pipeline(), requests, base, folder / "uncached")
            gauge.prepare(on_video)
            search.run(trials, lambda cache: gauge.measure(cache, shown.step), shown)
    content: dict[str, Any] = {"command": command_line(context), "bar": str(bar), "trials": len(search.finished())}
    tried = search.tried()
    if not tried or not bar.met(tried[0].figures):
        at_work.close()
        console(json_file).print(nothing_met(bar, tried))
        write_json({**content, "met": False, "nearest": as_dict(tried[0]) if tried else None}, json_file)
        return 1
    best = tried[0]
    with progress(len(checks) + 1) as shown:
        kept = folder / "uncached-check"
        check: Gauge | DealtGauge
        if cluster:
            check = DealtGauge(model, checks, base, kept, cluster.fleet, AtWork(), shown)
        else:
            check = Gauge(pipeline(), checks, base, kept)
        check.prepare(on_video)
        shown.start(best.label)
        cache = resolve(best.strategy, best.predictor, base.steps)
        assert cache is not None
        checked = check.measure(cache, shown.step)
        shown.finish(f"{best.label}: {said(checked)}")
    at_work.close()
    shown_on = console(json_file)
    answer = Answer(best, checked, bar, len(requests), len(checks))
    target = Path(out) if out is not None else folder / "settings.toml"
    write_settings(target, answer, base, {"profile": profile, "weights": asked_model.weights}, command_line(context))
    for line in answer.lines:
        shown_on.print(line)
    shown_on.print(f"settings: {target}; use them with `cachekit run --config {target}`")
    found = {"met": answer.holds, "best": as_dict(best), "check": attrs.asdict(checked), "file": str(target)}
    write_json({**content, **found}, json_file)
    return 0 if answer.holds else 1


def conditions_of(
    base: Setting,
    choices: Mapping[str, object],
    profile: str | None,
    space: Sequence[Dimension],
    predictors: Sequence[Choice],
    requests: Sequence[Request],
) -> dict[str, Any]:
    """What a search depends on: a folder holds the trials of one alone."""
    return {
        **choices,
        "profile": read_text(Path(profile)) if profile else None,
        "search": [attrs.asdict(dimension) for dimension in space],
        "predictors": [predictor.spec for predictor in predictors],
        "prompts": [[request.prompt, request.seed] for request in requests],
        **attrs.asdict(base, filter=lambda field, _: field.name not in ("strategy", "predictor", "params")),
    }
