"""Videos made by the workers of a cluster, and written where the command was given."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import attrs

from cachekit.files.writing import write_whole
from cachekit.generation.generate import Cache, Outcome, Request, generate, generate_entry
from cachekit.generation.manifest import Entry, Manifest, Setting
from cachekit.generation.video import file_name
from cachekit.scaling.dealing import Assignment, Done, Fleet
from cachekit.scaling.worker import Failed
from cachekit.scaling.workplaces import workplace

if TYPE_CHECKING:
    from cachekit.interface.model import Model, Pipeline


@attrs.frozen(eq=False)
class Way:
    """A way of making videos: with a cache or (None) without."""

    setting: Setting
    cache: Cache | None
    sampling: dict[str, Any] = attrs.field(factory=dict)
    """How the model's sampler is set up otherwise, as `Pipeline.resampled` takes it."""


@attrs.frozen(eq=False)
class Made:
    """A video that a worker has made: its entry and its file's bytes, which come back through Ray's object store."""

    entry: Entry
    content: bytes
    warnings: tuple[str, ...] = ()


@attrs.define
class VideoJob:
    """Makes videos with one model, in whichever way each is asked for."""

    model: Model
    device: str
    dtype: str
    warm_up: int = 0
    """Steps of a run that is not counted, before the first; where seconds are compared."""
    _pipeline: Pipeline | None = attrs.field(default=None, init=False)

    def load(self) -> None:
        self._pipeline = self.model.load(device=self.device, dtype=self.dtype)

    def do(self, piece: Request, context: Way) -> Made:
        pipeline = self._pipeline
        assert pipeline is not None
        warnings = pipeline.check_prompt(piece.prompt)
        if self.warm_up:
            with suppress(Exception):  # what is wrong shows in the videos, each of which is tried
                generate(pipeline, piece, None, steps=self.warm_up, guidance_scale=context.setting.guidance_scale)
            self.warm_up = 0
        if context.sampling:
            pipeline = pipeline.resampled(**context.sampling)
        with workplace() as folder:
            file = file_name(piece.name, context.setting.format)
            entry = generate_entry(pipeline, piece, context.cache, context.setting, folder, file)
            return Made(entry, (folder / file).read_bytes(), tuple(warnings))


@attrs.define
class Requests:
    """A queue of requests, all to be made in one way."""

    _left: deque[Request]
    _way: Any

    def next(self, worker: int) -> Assignment | None:
        return Assignment(self._left.popleft(), self._way) if self._left else None

    @property
    def left(self) -> int:
        return len(self._left)

    def gone(self, worker: int) -> None:
        """Nothing was meant for one worker alone."""


def deal_folder(
    fleet: Fleet, requests: Sequence[Request], way: Way, manifest: Manifest, *, verify: bool = False
) -> Generator[tuple[Outcome, Done | None], None, None]:
    """`generate_folder` by a fleet: outcomes in the order in which they come, with what is known of the workers."""
    lacking = []
    for request in requests:
        file = file_name(request.name, way.setting.format)
        if manifest.has_whole(file, verify=verify):
            yield Outcome(request, manifest.entries[file], reused=True), None
        else:
            lacking.append(request)
    queue = Requests(deque(lacking), fleet.cluster.ray.put(way))
    for done in fleet.deal(queue):
        yield keep(done.piece, done.result, manifest), done


def keep(request: Request, result: Made | Failed, manifest: Manifest) -> Outcome:
    """Write a video that has come back into its folder, and record it."""
    if isinstance(result, Failed):
        return Outcome(request, None, failure=result.reason)
    path = manifest.folder / result.entry.file
    if path.is_dir():
        return Outcome(request, None, failure=f"a folder stands where the video {path.name!r} belongs; move it away")
    write_whole(path, result.content, "the video")
    manifest.add(result.entry)
    return Outcome(request, result.entry)
