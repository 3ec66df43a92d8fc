"""What a setting reaches on some prompts: its videos against the uncached ones, which are made once and kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from statistics import fmean, median
from typing import TYPE_CHECKING

import attrs
import numpy as np

from cachekit.errors import CachekitError
from cachekit.generation.generate import Cache, Outcome, Request, generate, generate_folder, prepare_folder
from cachekit.generation.manifest import Entry, Setting
from cachekit.tuning.bar import Figures

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cachekit.interface.model import Pipeline


@attrs.define
class Gauge:
    """Measures settings on one set of requests."""

    pipeline: Pipeline
    requests: Sequence[Request]
    base: Setting
    """The uncached model's."""
    folder: Path
    """Where the uncached videos are kept, losslessly."""
    _references: list[tuple[Entry, NDArray[np.uint8]]] = attrs.field(factory=list, init=False)

    def prepare(self, on_video: Callable[[Request], None]) -> None:
        """Make the uncached videos that the folder lacks."""
        with prepare_folder(self.folder, self.base, overwrite=False) as manifest:
            outcomes = generate_folder(self.pipeline, self.requests, None, self.base, manifest)
            self.refer_to(reference_of(outcome, on_video) for outcome in outcomes)

    def refer_to(self, references: Iterable[Entry]) -> None:
        """Measure against these videos of the folder, one for each request."""
        self._references = [(entry, read_frames(self.folder / entry.file)) for entry in references]

    @property
    def ready(self) -> bool:
        """Whether there is something to measure against."""
        return bool(self._references)

    def measure(self, cache: Cache, on_step: Callable[[int, int], None] | None = None) -> Figures:
        """Run the cache on every request; `on_step(steps done, steps in all)`."""
        from cachekit_eval.metrics.psnr import Psnr

        metric, steps = Psnr(), self.base.steps
        psnrs, ideals, speedups = [], [], []
        for number, (request, (entry, reference)) in enumerate(zip(self.requests, self._references, strict=True)):

            def told(done: int, number: int = number) -> None:
                if on_step is not None:
                    on_step(number * steps + done, len(self.requests) * steps)

            made = generate(
                self.pipeline, request, cache, steps=steps, guidance_scale=self.base.guidance_scale, on_step=told
            )
            psnrs.append(fmean(metric.compare(reference, made.frames.numpy())))
            ideals.append(1 / made.trace.ideal_speedup)
            speedups.append(entry.seconds.denoising / made.seconds.denoising)
        return Figures(fmean(psnrs), min(psnrs), 1 / fmean(ideals), median(speedups))


def reference_of(outcome: Outcome, on_video: Callable[[Request], None]) -> Entry:
    """An uncached video; CachekitError where it failed."""
    if outcome.entry is None:
        raise CachekitError(f"the uncached video of {outcome.request.prompt!r} failed: {outcome.failure}")
    on_video(outcome.request)
    return outcome.entry


def read_frames(path: Path) -> NDArray[np.uint8]:
    """A video's frames, `[T, H, W, 3]`."""
    import av

    with av.open(str(path)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    return np.stack(frames).astype(np.uint8, copy=False)
