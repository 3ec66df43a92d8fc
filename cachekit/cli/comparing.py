"""What a comparison was asked to be, kept in its folder so that its shares can be gathered, and doing it."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from cachekit.cli.clustering import at_work
from cachekit.errors import CachekitError
from cachekit.files.reading import parse_json, read_text
from cachekit.files.structuring import structure
from cachekit.files.writing import reason

if TYPE_CHECKING:
    from cachekit.cli.choices import ChosenModel
    from cachekit.cli.clustering import Clustered
    from cachekit.comparison.contenders import Contender, ResolveCache
    from cachekit.comparison.dealing import Part
    from cachekit.comparison.results import Comparison
    from cachekit.comparison.spacing import Spacings
    from cachekit.generation.generate import Cache
    from cachekit.generation.manifest import Setting
    from cachekit.interface.model import Model, Pipeline
    from cachekit.interface.progress import Progress
    from cachekit.registry.grid import Choice
    from cachekit.registry.plugins import PluginManager
    from cachekit.scaling.dealing import Done as Dealt
    from cachekit.scaling.shares import Share

FILE = "asked.json"


@attrs.frozen
class Asked:
    """A comparison in the words of the command line: what all its shares have in common."""

    strategies: tuple[str, ...]
    predictors: tuple[str, ...]
    profiles: tuple[str, ...]
    model_spec: str
    weights: str | None
    offload: bool
    prompts: tuple[str, ...]
    """All of them, wherever they were read from; empty for the model's examples."""
    steps: int | None
    guidance_scale: float | None
    seed: int
    videos_per_prompt: int
    device: str
    dtype: str | None
    video_format: str
    metrics: str | None
    lpips_weights: str | None
    command: str = attrs.field(eq=False)
    spacing: float | None = None
    solver: str | None = None
    reference_steps: int | None = None
    baselines: str | None = None
    """Numbers of steps of the baselines, separated by commas; None for every number of computed steps."""
    previews: int | None = attrs.field(default=None, eq=False)
    """Of how many prompts and seeds the page plays the videos; None for all."""

    def save(self, report: Path) -> None:
        from cachekit.files.writing import write_whole

        write_whole(report / FILE, json.dumps(attrs.asdict(self), indent=1) + "\n", "the report's file")


def load_asked(report: Path) -> Asked:
    """What a report's folder was asked to be; CachekitError where it does not say."""
    path = report / FILE
    try:
        return structure(parse_json(read_text(path)), Asked)
    except (OSError, ValueError) as error:
        raise CachekitError(
            f"{str(path)!r} can't be read: {reason(error)}; run a share of it again to have it written anew"
        ) from error


@attrs.frozen
class Done:
    """What a comparison came to, or what of it is to come."""

    comparison: Comparison
    second: Comparison | None = None
    """The same judged against the reference of more steps, where one was named."""
    to_come: int = 0
    """Videos that other shares have not made yet; there is no report until there are none."""


def run_comparison(
    asked: Asked,
    report: Path,
    shown: Progress,
    share: Share | None = None,
    *,
    cluster: Clustered | None = None,
    made: bool = False,
) -> Done:
    """Make the videos of a comparison, or a share of them, judge them, and write the report when all are there.

    `made`: refuse where videos of the settings asked for are lacking; only baselines that fit what all shares came to
    are made then.
    """
    from cachekit.cli.choices import choose_device, choose_model, load_pipeline, uncached_setting
    from cachekit.comparison.collecting import collect
    from cachekit.comparison.contenders import Field
    from cachekit.comparison.dealing import deal_comparison
    from cachekit.comparison.page import REFERENCE, write_report
    from cachekit.comparison.quality import FILE as QUALITY
    from cachekit.comparison.quality import Judge
    from cachekit.comparison.running import WARM_UP_STEPS, Runner
    from cachekit.files.locking import owned
    from cachekit.files.writing import check_folder, make_folder
    from cachekit.generation.checked_model import timesteps_of
    from cachekit.generation.generate import make_requests
    from cachekit.generation.manifest import NAME
    from cachekit.registry.grid import OWN, Choice, expand, grid
    from cachekit.registry.parameters import parse_spec
    from cachekit.registry.plugins import get_plugins
    from cachekit.scaling.videos import VideoJob

    plugins = get_plugins()
    extra = {name: getattr(asked, name) for name in ("weights", "offload", "spacing", "solver")}
    chosen = choose_model(asked.model_spec, plugins, extra)
    model = chosen.model
    base = uncached_setting(
        chosen,
        steps=asked.steps,
        guidance_scale=asked.guidance_scale,
        device=cluster.device(asked.device) if cluster else choose_device(asked.device),
        dtype=asked.dtype,
        video_format=asked.video_format,
    )
    field = Field(base, timesteps_of(model, base.steps), resolver(chosen, asked.profiles, plugins), plugins)
    known = [{registration.name for registration in part} for part in (plugins.strategies, plugins.predictors)]
    choices = grid(expand(asked.strategies, known[0]), expand(asked.predictors, {*known[1], OWN}))
    wanted = counts_in(asked.baselines, base.steps)
    uncached = field.uncached()
    reference = field.reference(asked.reference_steps) if asked.reference_steps else None
    settings = [field.setting(strategy, predictor) for strategy, predictor in choices]
    named = {predictor.spec for _, predictor in choices if predictor is not None}
    filling = list(dict.fromkeys(s.predictor for s in settings if s.predictor and (s.predictor in named or not named)))

    def baselines(counts: set[int]) -> list[Contender]:
        return field.baselines(wanted or counts, [Choice(*parse_spec(predictor)) for predictor in filling])

    texts = list(asked.prompts) or list(model.example_prompts)
    everything = make_requests(list(dict.fromkeys(texts)), asked.seed, asked.videos_per_prompt)
    requests = share.deal(everything) if share else everything
    about = {
        "command": asked.command,
        "model": chosen.name,
        "steps": base.steps,
        "guidance_scale": base.guidance_scale,
        "device": base.device,
        "dtype": base.dtype,
        "prompts": [{"prompt": request.prompt, "seed": request.seed} for request in everything],
        "against": uncached.label,
    }
    check_folder(report)
    names = [share.named(Path(name)).name if share else name for name in (NAME, QUALITY)]
    lock = share.named(Path("cachekit")).name if share else "cachekit"
    judge = Judge(report, asked.metrics.split(",") if asked.metrics else None, asked.lpips_weights, names[1])

    @cache
    def pipeline() -> Pipeline:
        return load_pipeline(model, [request.prompt for request in requests], device=base.device, dtype=base.dtype)

    if not made and not cluster:
        pipeline()
    make_folder(report)
    field = attrs.evolve(field, spacing=spacings_of(asked, model, base, pipeline, report).best)
    with owned(report, "cachekit compare", name=lock), Runner(pipeline, requests, report, shown, names[0]) as runner:
        asked.save(report)
        judge.recall()
        planned = {count for count in map(field.planned_count, settings) if count is not None}
        contenders = [uncached, *filter(None, [reference]), *settings, *baselines(planned)]
        if made and (lacking := runner.to_come(contenders)):
            contender, request = lacking[0]
            raise CachekitError(
                f"{len(lacking)} videos of this comparison are not made yet, {contender.label!r} of "
                f"{request.prompt!r} among them; gather the folders of all its shares, or run `{asked.command}`"
            )
        if cluster:
            fleet = cluster.fleet(VideoJob(model, base.device, base.dtype, warm_up=WARM_UP_STEPS))
            deal_comparison(runner, fleet, contenders, baselines, Told(shown))
            runner = runner.widened(everything)
            runner.shown = Silent()
        runner.run(contenders, baselines)
        comparison = collect(runner, uncached, judge, about)
        whole = runner
        if share is not None:
            whole = runner.widened(everything)
            whole.outcomes |= runner.outcomes  # made or found a moment ago
            lacking = whole.to_come(contenders)
            if lacking:
                return Done(comparison, to_come=len(lacking))
            whole.run(contenders, baselines)
            judge.recall()
            comparison = collect(whole, uncached, judge, about)
        second = collect(whole, reference, judge, {**about, "against": reference.label}) if reference else None
    write_report(report, comparison, previews=asked.previews)
    if second is not None:
        write_report(report, second, stem=REFERENCE, previews=asked.previews)
    return Done(comparison, second=second)


def counts_in(text: str | None, steps: int) -> set[int]:
    """The numbers of steps in `12,10,8`; CachekitError where they are none of a run's."""
    counts = {part.strip() for part in text.split(",")} if text else set()
    if not all(count.isdecimal() and 0 < int(count) < steps for count in counts):
        raise CachekitError(f"--baselines must be numbers of steps from 1 to {steps - 1} like 12,10,8, not {text!r}")
    return set(map(int, counts))


def spacings_of(asked: Asked, model: Model, base: Setting, pipeline: Callable[[], Pipeline], report: Path) -> Spacings:
    """Where fewer steps of this model lie best, as far as it is known, and what measures the rest."""
    from cachekit.attaching.attach import all_profiles
    from cachekit.comparison.spacing import FILE, PROMPTS, Spacings, known_spacings
    from cachekit.generation.checked_model import architecture_of
    from cachekit.generation.generate import make_requests
    from cachekit.registry.parameters import digest
    from cachekit.registry.plugins import get_plugins

    calibration = list(model.calibration_prompts or model.example_prompts)[:PROMPTS]
    profiles = all_profiles(get_plugins())
    return Spacings(
        pipeline=pipeline,
        requests=make_requests(calibration, 0, 1),
        steps=base.steps,
        guidance_scale=base.guidance_scale,
        known=known_spacings(profiles, architecture_of(model), base.steps, base.guidance_scale),
        kept=report / FILE,
        of=digest(attrs.asdict(base)),
    )


@attrs.define
class Told:
    """Shows what comes back from the workers."""

    shown: Progress
    failed: int = 0

    def __call__(self, done: Dealt, part: Part, failed: bool) -> None:
        self.failed += failed
        self.shown.start(f"{at_work(done, self.failed)}{part.contender.label}: {part.request.prompt}")


class Silent:
    """Shows nothing: what it would say was said."""

    def expect(self, pieces: int) -> None:
        pass

    def start(self, what: str) -> None:
        pass

    def step(self, done: int, total: int) -> None:
        pass

    def finish(self, line: str) -> None:
        pass


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


def show_comparison(done: Done, report: Path, share: Share | None, json_file: str | None) -> int:
    """The table, what failed, and where the report is; the exit status."""
    import click

    from cachekit.cli.comparison_table import show_table
    from cachekit.cli.report import console, write_json
    from cachekit.comparison.page import REFERENCE
    from cachekit.comparison.results import as_json
    from cachekit.files.text import plain

    comparison = done.comparison
    shown_on = console(json_file)
    show_table(shown_on, comparison)
    if done.to_come:
        shown_on.print(
            f"{share} is done; the last share to be done writes the report, {done.to_come} videos are to come, and "
            "`cachekit gather` joins the folders of several machines"
        )
    else:
        shown_on.print(f"report: {report / 'index.html'}")
    if done.second is not None:
        shown_on.print(f"against {done.second.about['against']}:")
        show_table(shown_on, done.second)
        shown_on.print(f"report: {report / f'{REFERENCE}.html'}")
    for row, video in comparison.failures:
        click.echo(f"cachekit: {plain(f'{row.label}: {video.name}: {video.failure}')}", err=True)
    content: dict[str, Any] = as_json(comparison)
    if done.second is not None:
        content[REFERENCE] = as_json(done.second)
    write_json({**content, "to_come": done.to_come} if done.to_come else content, json_file)
    return 1 if comparison.failures else 0
