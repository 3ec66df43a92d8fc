"""From the videos made to the comparison: pair them with the uncached ones, judge them, and fill the rows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs

from cachekit.comparison.contenders import Contender
from cachekit.comparison.quality import Judge, Pair
from cachekit.comparison.results import Comparison, Video, row_of
from cachekit.comparison.running import VIDEOS, Runner
from cachekit.generation.generate import Outcome

NO_REFERENCE = "the uncached video of this prompt failed, so there is nothing to compare with"


def collect(
    runner: Runner,
    uncached: Contender,
    judge: Judge,
    about: dict[str, Any],
    on_pair: Callable[[int, int], None] | None = None,
) -> Comparison:
    """Judge every video that was made against the one that `uncached` made of its prompt and seed."""
    contenders = [seen_from(contender, uncached) for contender in runner.made.values()]
    references = {outcome.request.name: outcome for outcome in runner.of(uncached)}
    pairs: dict[tuple[str, str], Pair] = {}
    for contender in contenders:
        for outcome in runner.of(contender):
            pair = pair_of(runner.folder, uncached, references[outcome.request.name], contender, outcome)
            if pair is not None and contender.folder != uncached.folder:
                pairs[contender.folder, outcome.request.name] = pair
    refused = judge.judge(pairs.values(), on_pair)
    rows = []
    for contender in contenders:
        videos = []
        for outcome in runner.of(contender):
            reference = references[outcome.request.name]
            pair = pairs.get((contender.folder, outcome.request.name))
            values = (judge.values(pair) or {}) if pair else {}
            failure = outcome.failure or (refused.get(pair) if pair else None)
            if failure is None and reference.entry is None:
                failure = NO_REFERENCE
            videos.append(video_of(contender, outcome, reference, values, failure))
        rows.append(row_of(contender, videos, judge.infos, uncached.setting.steps))
    return Comparison(tuple(rows), tuple(judge.infos), {**about, "machine": ", and ".join(machines_of(runner))})


def machines_of(runner: Runner) -> list[str]:
    """The machines that the videos were made on, each once: seconds of unlike ones are not set against each other."""
    made = (outcome.entry for contender in runner.made.values() for outcome in runner.of(contender))
    return list(dict.fromkeys(entry.machine for entry in made if entry is not None and entry.machine))


def seen_from(contender: Contender, reference: Contender) -> Contender:
    """A contender as it stands in a comparison with this reference, whose row is the uncached one there."""
    if contender.folder == reference.folder:
        return attrs.evolve(contender, kind="uncached")
    if contender.kind in ("uncached", "reference"):
        steps = contender.setting.steps
        return attrs.evolve(contender, kind="fewer steps", label=f"uncached, {steps} steps")
    return contender


def pair_of(
    folder: Path, uncached: Contender, reference: Outcome, contender: Contender, outcome: Outcome
) -> Pair | None:
    """The two files to compare; None where one of them is missing."""
    if reference.entry is None or outcome.entry is None:
        return None
    return Pair(
        gt=folder / VIDEOS / uncached.folder / reference.entry.file,
        gen=folder / VIDEOS / contender.folder / outcome.entry.file,
        gt_sha256=reference.entry.sha256,
        gen_sha256=outcome.entry.sha256,
    )


def video_of(
    contender: Contender, outcome: Outcome, reference: Outcome, values: dict[str, float], failure: str | None
) -> Video:
    """A video's line of the results."""
    entry, request = outcome.entry, outcome.request
    speedup = None
    if (
        entry is not None
        and reference.entry is not None
        and entry.machine == reference.entry.machine
        and entry.seconds.denoising > 0
    ):
        speedup = reference.entry.seconds.denoising / entry.seconds.denoising
    return Video(
        name=request.name,
        prompt=request.prompt,
        seed=request.seed,
        file=f"{VIDEOS}/{contender.folder}/{entry.file}" if entry else None,
        pattern=entry.pattern if entry else None,
        seconds=entry.seconds if entry else None,
        speedup=speedup,
        quality=values,
        failure=failure,
    )
