"""Where a model's fewer steps lie best: the baseline that a cache must beat, chosen on calibration prompts."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from cachekit.errors import CachekitError
from cachekit.files.writing import write_whole
from cachekit.profiles.profile import choose_profile

if TYPE_CHECKING:
    import torch

    from cachekit.generation.generate import Request
    from cachekit.interface.model import Pipeline
    from cachekit.profiles.profile import Profile

CANDIDATES = (1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0)
"""Ratios r of r t / (1 + (r - 1) t) that are tried."""
FILE = "spacings.json"
PROFILE = "spacing"
"""What a profile of spacings names as its strategy."""
PROMPTS = 4
"""Calibration prompts that are run for each ratio."""


@attrs.define
class Spacings:
    """The best ratio of each number of steps, known from the model's profiles, from a report, or measured now.

    A ratio is the better the nearer the final latents of its runs are, in the mean square, to those of all steps, over
    the calibration requests.
    """

    pipeline: Callable[[], Pipeline]
    """Loads it the first time: nothing is loaded where all is known."""
    requests: Sequence[Request]
    steps: int
    guidance_scale: float
    known: dict[int, float]
    """By number of steps."""
    kept: Path
    """Where what is measured is kept, so that a report that goes on measures nothing twice."""
    of: str
    """What they are of: a name for model and sampling, under which they stand in that file."""
    _whole: list[torch.Tensor] = attrs.field(factory=list, init=False)
    """Final latents of all steps, by request."""
    _possible: bool = attrs.field(default=True, init=False)

    def __attrs_post_init__(self) -> None:
        if self.kept.is_file():
            self.known = {**self.known, **read(self.kept).get(self.of, {})}

    def best(self, count: int) -> float | None:
        """The best ratio for so many steps; None where the model's timesteps can't be spaced."""
        if count not in self.known:
            if not self._possible or not self.requests:
                return None
            try:
                losses = {ratio: self.loss(count, ratio) for ratio in CANDIDATES}
            except CachekitError:
                self._possible = False
                return None
            self.known[count] = min(losses, key=lambda ratio: losses[ratio])
            self._keep()
        return self.known[count]

    def _keep(self) -> None:
        others = read(self.kept) if self.kept.is_file() else {}
        content = {**others, self.of: dict(sorted(self.known.items()))}
        write_whole(self.kept, json.dumps(content, indent=1) + "\n", "the report's spacings")

    def loss(self, count: int, ratio: float) -> float:
        """Mean square distance of the final latents from those of all steps."""
        pipeline = self.pipeline()
        spaced = pipeline.resampled(spacing=ratio)
        if not self._whole:
            self._whole = [self.ends_in(pipeline, request, self.steps) for request in self.requests]
        ends = [self.ends_in(spaced, request, count) for request in self.requests]
        errors = [(a - b).float().square().mean() for a, b in zip(ends, self._whole, strict=True)]
        return float(sum(errors)) / len(errors)

    def ends_in(self, pipeline: Pipeline, request: Request, steps: int) -> torch.Tensor:
        text = pipeline.encode_text(request.prompt)
        return pipeline.denoise(text, seed=request.seed, steps=steps, guidance_scale=self.guidance_scale)


def read(file: Path) -> dict[str, dict[int, float]]:
    """What a report keeps; CachekitError where the file is damaged."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        return {of: {int(count): float(ratio) for count, ratio in known.items()} for of, known in content.items()}
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise CachekitError(f"the spacings in {str(file)!r} are damaged ({error}); delete the file") from error


def known_spacings(
    profiles: Iterable[Profile], architecture: Mapping[str, object], steps: int, guidance_scale: float
) -> dict[int, float]:
    """What the model's profiles say (`strategy` "spacing"), for these steps and this guidance."""
    profile = choose_profile(profiles, PROFILE, architecture, steps)
    if profile is None or profile.steps != steps or profile.guidance_scale != guidance_scale:
        return {}
    return {int(count): float(ratio) for count, ratio in profile.values["spacings"].items()}
