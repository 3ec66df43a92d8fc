"""Running the contenders fairly: interleaved within each prompt, after a warm-up, and resumable at every video.

A share runs all contenders of its own prompts, so the seconds that are compared are one machine's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from cachekit.comparison.contenders import Contender
from cachekit.generation.generate import Outcome, Request, generate, generate_folder, prepare_folder
from cachekit.generation.manifest import NAME as MANIFEST
from cachekit.generation.manifest import Manifest
from cachekit.generation.video import file_name
from cachekit.interface.progress import Progress
from cachekit.interface.strategy import COMPUTED

if TYPE_CHECKING:
    from cachekit.interface.model import Pipeline

VIDEOS = "videos"
WARM_UP_STEPS = 2


@attrs.define
class Runner:
    """Makes every contender's video of every request, and keeps what became of each."""

    pipeline: Callable[[], Pipeline]
    """Loaded when a video is to be made."""
    requests: Sequence[Request]
    folder: Path
    """The report's; each contender's videos are in a folder of their own under it."""
    shown: Progress
    manifest_name: str = MANIFEST
    """Of the file that this process writes in each contender's folder."""
    made: dict[str, Contender] = attrs.field(factory=dict, init=False)
    """By folder, in the order in which they joined."""
    outcomes: dict[tuple[str, str], Outcome] = attrs.field(factory=dict, init=False)
    """By contender's folder and video's name."""
    _manifests: dict[str, Manifest] = attrs.field(factory=dict, init=False)
    _warm: bool = attrs.field(default=False, init=False)
    _place: dict[str, int] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._place = {request.name: place for place, request in enumerate(self.requests)}

    def run(self, contenders: Sequence[Contender], baselines: Callable[[set[int]], list[Contender]]) -> None:
        """Run all of them, and the baselines at every number of computed steps that occurs.

        A deciding strategy's numbers show only as it runs, so baselines may join after a prompt; they then catch up.
        """
        self.join(contenders)
        for request in self.requests:
            self._run_prompt(request)
            self.join(baselines(self.computed_counts()))
            self._run_prompt(request)
        for request in self.requests:
            self._run_prompt(request)

    def __enter__(self) -> Runner:
        return self

    def __exit__(self, *_: object) -> None:
        for manifest in self._manifests.values():
            manifest.close()

    def widened(self, requests: Sequence[Request]) -> Runner:
        """A runner of all shares' requests, which goes on with what all of them have made by now."""
        for manifest in self._manifests.values():
            manifest.look_again()
        runner = Runner(self.pipeline, requests, self.folder, self.shown, self.manifest_name)
        runner._manifests, runner._warm = self._manifests, self._warm
        runner.outcomes = {key: outcome for key, outcome in self.outcomes.items() if outcome.entry is None}
        return runner

    def to_come(self, contenders: Sequence[Contender]) -> list[tuple[Contender, Request]]:
        """The videos of these contenders that nobody has made yet."""
        self.join(contenders)
        return [
            (contender, request)
            for contender, request in product(contenders, self.requests)
            if file_name(request.name, contender.setting.format) not in self._manifests[contender.folder].entries
        ]

    def computed_counts(self) -> set[int]:
        """Numbers of computed steps that occurred in the settings asked for."""
        asked = {folder for folder, contender in self.made.items() if contender.kind == "setting"}
        return {
            outcome.entry.pattern.count(COMPUTED)
            for (folder, _), outcome in self.outcomes.items()
            if outcome.entry is not None and folder in asked
        }

    def of(self, contender: Contender) -> list[Outcome]:
        """What became of a contender's videos, in the order of the requests."""
        return [self.outcomes[contender.folder, request.name] for request in self.requests]

    def join(self, contenders: Sequence[Contender]) -> None:
        """Let these be compared too, where they are not yet."""
        for contender in contenders:
            if contender.folder not in self._manifests:
                path = self.folder / VIDEOS / contender.folder
                self._manifests[contender.folder] = prepare_folder(
                    path, contender.setting, overwrite=False, name=self.manifest_name
                )
            self.made.setdefault(contender.folder, contender)
        self.shown.expect(len(self.made) * len(self.requests))

    def missing(self, request: Request) -> list[Contender]:
        """The contenders whose video of this request is not decided yet, in the order in which they run: each prompt
        begins with another, so that none has the cold machine always."""
        missing = [
            contender for contender in self.made.values() if (contender.folder, request.name) not in self.outcomes
        ]
        turn = self._place[request.name] % max(1, len(missing))
        return [*missing[turn:], *missing[:turn]]

    def there(self, contender: Contender, request: Request) -> Outcome | None:
        """The video where it was made before."""
        manifest, file = self.manifest_of(contender), file_name(request.name, contender.setting.format)
        return Outcome(request, manifest.entries[file], reused=True) if manifest.has_whole(file) else None

    def manifest_of(self, contender: Contender) -> Manifest:
        return self._manifests[contender.folder]

    def settle(self, contender: Contender, outcome: Outcome) -> None:
        """Take down what became of a contender's video."""
        self.outcomes[contender.folder, outcome.request.name] = outcome
        self.shown.finish(describe(contender, outcome))

    def _run_prompt(self, request: Request) -> None:
        for contender in self.missing(request):
            self.shown.start(f"{contender.label}: {request.prompt}")
            self.settle(contender, self.there(contender, request) or self._make(contender, request))

    def _make(self, contender: Contender, request: Request) -> Outcome:
        setting = contender.setting
        if not self._warm:
            self._warm_up(request, setting.guidance_scale)

        def on_step(_: Request, done: int) -> None:
            self.shown.step(done, setting.steps)

        pipeline = self.pipeline()
        if contender.sampling:
            pipeline = pipeline.resampled(**contender.sampling)
        manifest = self.manifest_of(contender)
        work = generate_folder(pipeline, [request], contender.cache, setting, manifest, on_step=on_step)
        return next(work)

    def _warm_up(self, request: Request, guidance_scale: float) -> None:
        """A short run that is not counted, so that the first video does not pay for what is done once."""
        self._warm = True
        with suppress(Exception):  # what is wrong shows in the videos, each of which is tried
            generate(self.pipeline(), request, None, steps=WARM_UP_STEPS, guidance_scale=guidance_scale)


def describe(contender: Contender, outcome: Outcome) -> str:
    """A line for the log."""
    what = f"{contender.label}: {outcome.request.name}"
    if outcome.entry is None:
        return f"{what}: failed: {outcome.failure}"
    how = "there already" if outcome.reused else f"denoised in {outcome.entry.seconds.denoising:.2f} s"
    return f"{what}  {outcome.entry.pattern}  {how}"
