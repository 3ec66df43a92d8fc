"""Making videos: one from one prompt, and a folder of them that can be stopped and gone on with."""

from __future__ import annotations

import json
import platform
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from cachekit.attaching.attach import resolve_adapter
from cachekit.attaching.session import Session
from cachekit.attaching.trace import Trace
from cachekit.errors import CachekitError, StoppedError
from cachekit.files.text import plain
from cachekit.files.writing import check_folder, clean_leftovers, make_folder
from cachekit.generation.claims import at_the_door, claim, others_at_work
from cachekit.generation.finite import is_finite, not_finite
from cachekit.generation.machine import machine_name
from cachekit.generation.manifest import NAME as MANIFEST
from cachekit.generation.manifest import Entry, Manifest, Seconds, Setting
from cachekit.generation.video import file_name, video_name, write_video
from cachekit.interface.guard import asking, named
from cachekit.interface.strategy import COMPUTED, Outlook, Run, checked_plan
from cachekit.registry.parameters import parameter_values
from cachekit.registry.plugins import PluginManager, get_plugins

if TYPE_CHECKING:
    import torch

    from cachekit.interface.guard import asking, named
    from cachekit.interface.model import Pipeline
    from cachekit.interface.predictor import Predictor
from cachekit.interface.strategy import Strategy


@attrs.frozen
class Request:
    """One video asked for."""

    prompt: str
    seed: int
    occurrence: int = 0
    """0, or more for a prompt and seed that stand in the list again."""
    title: str | None = None
    """The video's name, where it is not made of prompt and seed."""

    @property
    def name(self) -> str:
        return self.title or video_name(self.prompt, self.seed, self.occurrence)


@attrs.frozen(eq=False)
class Generated:
    """A video made: its frames `[T, H, W, 3]`, what the strategy did, and how long each stage took."""

    frames: torch.Tensor
    trace: Trace
    seconds: Seconds


@attrs.frozen
class Cache:
    """A strategy with its predictor, ready to attach."""

    strategy: Strategy
    predictor: Predictor
    euler: bool = False
    """Whether the model's sampler makes Euler steps along a flow."""

    @property
    def params(self) -> dict[str, object]:
        """The strategy's parameters, the profile's included."""
        return parameter_values(self.strategy)

    def run(self, steps: int, timesteps: tuple[float, ...]) -> Run:
        """A run of it, as its strategy plans it."""
        return Run(steps, self.predictor, timesteps, euler=self.euler)

    def plan(self, steps: int, timesteps: tuple[float, ...]) -> str | None:
        """The pattern of such a run where it is known ahead; CachekitError where the strategy has no plan for it."""
        with asking(self.strategy, "plan"):
            return checked_plan(self.strategy, self.run(steps, timesteps))

    def outlook(self, steps: int, timesteps: tuple[float, ...]) -> Outlook | None:
        """What the strategy foresees of such a run; CachekitError where that is no table."""
        with asking(self.strategy, "outlook"):
            outlook: object = self.strategy.outlook(self.run(steps, timesteps))
            if outlook is None:
                return None
            if not isinstance(outlook, Outlook) or any(len(row) != len(outlook.columns) for row in outlook.rows):
                raise CachekitError(
                    f"outlook of {named(self.strategy)} must return a cachekit.Outlook with a value for each column"
                )
            json.dumps(attrs.asdict(outlook), allow_nan=False)
        return outlook

    def predictor_spec(self, plugins: PluginManager) -> str:
        """The predictor as a command line names it, every field said that has a value: `taylor:order=1`."""
        kind = type(self.predictor)
        name = next((entry.name for entry in plugins.predictors if entry.value is kind), kind.__name__)
        said = [(key, value) for key, value in parameter_values(self.predictor).items() if value is not None]
        return ":".join([name, *(f"{key}={value}" for key, value in said)])


def make_requests(prompts: Sequence[str], seed: int, videos_per_prompt: int) -> list[Request]:
    """Every prompt with seeds `seed`, `seed + 1`, ...; a prompt that stands twice gets videos of its own names."""
    seen: Counter[str] = Counter()
    requests = []
    for prompt in prompts:
        requests += [Request(prompt, seed + i, seen[prompt]) for i in range(videos_per_prompt)]
        seen[prompt] += 1
    return requests


def attach_cache(pipeline: Pipeline, cache: Cache, steps: int) -> AbstractContextManager[Any]:
    """The cache at work on the pipeline: as it attaches by itself, or a session that knows its timesteps."""
    own = pipeline.attach(cache.strategy, cache.predictor)
    if own is not None:
        return own
    adapter = resolve_adapter(pipeline.transformer, None, get_plugins())
    return Session(
        pipeline.transformer,
        adapter,
        cache.strategy,
        cache.predictor,
        steps,
        pipeline.calls_per_step,
        timesteps=pipeline.timesteps(steps),
        euler=pipeline.euler,
        watch=False,
    )


def generate(
    pipeline: Pipeline,
    request: Request,
    cache: Cache | None,
    *,
    steps: int,
    guidance_scale: float,
    on_step: Callable[[int], None] | None = None,
) -> Generated:
    """Make one video, with a cache or (None) with the bare model; CachekitError where its latents are not finite."""
    clock = Clock(pipeline)
    text = pipeline.encode_text(request.prompt)
    text_seconds = clock.lap()
    denoise = partial(pipeline.denoise, text, seed=request.seed, steps=steps, guidance_scale=guidance_scale)
    with attach_cache(pipeline, cache, steps) if cache else nullcontext() as session:
        latents = denoise(on_step=on_step)
        denoising_seconds = clock.lap()
        trace = session.trace if session else Trace(COMPUTED * steps)
        if not is_finite(latents):
            if isinstance(session, Session):
                session.reset()
            raise not_finite(pipeline.transformer, lambda told: denoise(on_step=told), steps)
    frames = pipeline.decode(latents)
    seconds = pipeline.stage_seconds() or (text_seconds, denoising_seconds, clock.lap())
    return Generated(frames, trace, Seconds(*seconds))


@attrs.define
class Clock:
    """Seconds between laps, the GPU's work included."""

    pipeline: Pipeline
    _since: float = attrs.field(factory=time.perf_counter, init=False)

    def lap(self) -> float:
        import torch

        if torch.cuda.is_available() and next(self.pipeline.transformer.parameters()).is_cuda:
            torch.cuda.synchronize()
        now = time.perf_counter()
        seconds, self._since = now - self._since, now
        return seconds


@attrs.frozen
class Outcome:
    """What became of one request: its entry in the manifest, or why it failed."""

    request: Request
    entry: Entry | None
    failure: str | None = None
    reused: bool = False
    """Whether the video was there already."""


def look_at_folder(folder: Path, setting: Setting, *, overwrite: bool) -> None:
    """Refuse a folder that `prepare_folder` would, before the model is loaded; nothing is made or removed."""
    check_folder(folder)
    manifest = Manifest.open(folder)
    if not overwrite:
        manifest.check_setting(setting)


def prepare_folder(folder: Path, setting: Setting, *, overwrite: bool, name: str = MANIFEST) -> Manifest:
    """The folder's manifest, ready to go on with, and claimed: close it when the work is done.

    `name` is the file that this process adds to: shares have one each. Raises CachekitError where the folder was made
    with other settings, or is being: by another process, which then is named. With `overwrite` the videos that it
    records are removed, so everything else is to be checked before.
    """
    check_folder(folder)
    make_folder(folder)
    own = folder / name
    with at_the_door(folder):
        claimed = claim(own, setting.digest)
        try:
            check_others(folder, own, setting, overwrite=overwrite)
            clean_leftovers(folder)
            manifest = Manifest.open(folder, name)
            if overwrite:
                manifest.clear()
            manifest.check_setting(setting)
            manifest.mend()
        except BaseException:
            claimed.release()
            raise
    manifest.claim = claimed
    return manifest


def check_others(folder: Path, own: Path, setting: Setting, *, overwrite: bool) -> None:
    """Refuse a folder in which another process is making other videos, or any where they would be cleared away."""
    for path, owner in others_at_work(folder, own):
        if overwrite or owner is None or owner.digest != setting.digest:
            what = "" if overwrite else " with other settings"
            raise CachekitError(
                f"{owner or 'another process'} is at work in the folder {str(folder)!r}{what} ({path.name}); wait for "
                "it, stop it, or choose another folder"
            )


def generate_folder(
    pipeline: Pipeline,
    requests: Sequence[Request],
    cache: Cache | None,
    setting: Setting,
    manifest: Manifest,
    *,
    on_step: Callable[[Request, int], None] | None = None,
    verify: bool = False,
) -> Iterator[Outcome]:
    """Make the videos that the folder lacks, one after another; a failure is told and the others go on.

    Raises StoppedError where no other can be written either: a full disk, a folder taken away. `verify` compares the
    checksum of every video that is there already.
    """
    for request in requests:
        file = file_name(request.name, setting.format)
        if manifest.has_whole(file, verify=verify):
            yield Outcome(request, manifest.entries[file], reused=True)
            continue
        try:
            if (manifest.folder / file).is_dir():
                raise CachekitError(f"a folder stands where the video {file!r} belongs; move it away")
            entry = generate_entry(pipeline, request, cache, setting, manifest.folder, file, on_step)
            manifest.add(entry)
        except StoppedError:
            raise
        except Exception as error:  # a stranger's strategy may raise anything; the other videos go on
            yield Outcome(request, None, failure=failure_of(error))
            continue
        yield Outcome(request, entry)


def failure_of(error: Exception) -> str:
    """Why a video failed, on one line: our own sentences as they are, others with their class."""
    return plain(error if isinstance(error, CachekitError) else f"{type(error).__name__}: {error}")


def generate_entry(
    pipeline: Pipeline,
    request: Request,
    cache: Cache | None,
    setting: Setting,
    folder: Path,
    file: str,
    on_step: Callable[[Request, int], None] | None = None,
) -> Entry:
    """Make one video and write it to `file` in `folder`."""
    path = folder / file
    made = generate(
        pipeline,
        request,
        cache,
        steps=setting.steps,
        guidance_scale=setting.guidance_scale,
        on_step=None if on_step is None else lambda done: on_step(request, done),
    )
    digest = write_video(path, made.frames, pipeline.fps)
    return Entry(
        file=file,
        prompt=request.prompt,
        seed=request.seed,
        setting=setting,
        pattern=made.trace.pattern,
        ideal_speedup=made.trace.ideal_speedup,
        seconds=made.seconds,
        sha256=digest,
        bytes=path.stat().st_size,
        host=platform.node(),
        machine=machine_name(setting.device),
    )
