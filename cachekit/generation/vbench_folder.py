"""A folder of videos as VBench's own evaluator reads it: `PROMPT-INDEX.mp4`, five of each prompt, and nothing else.

VBench takes the suffix of whatever name the system lists first for that of all videos, so the manifest stands beside
the folder while nobody works in it: `samples/` has `samples.manifest.jsonl`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from cachekit.errors import CachekitError
from cachekit.generation.generate import Request
from cachekit.generation.manifest import NAME

VIDEOS_PER_PROMPT = 5
"""As many as VBench looks for."""
FORMAT = "mp4"
LONGEST_NAME = 255
"""Bytes of a file's name."""


def vbench_requests(prompts: Sequence[str], seed: int, videos_per_prompt: int) -> list[Request]:
    """Every prompt once, with the seeds `seed`, `seed + 1`, ... for the indices 0, 1, ...

    Raises CachekitError for a prompt that can't be a file's name.
    """
    requests = []
    for prompt in dict.fromkeys(prompts):
        names = [f"{prompt}-{index}" for index in range(videos_per_prompt)]
        if prompt.startswith(".") or re.search(r"[/\\:\x00-\x1f]", prompt):
            raise CachekitError(f"the prompt {prompt!r} can't be a file's name; make it without --names vbench")
        if len(f"{names[-1]}.{FORMAT}".encode()) > LONGEST_NAME:
            raise CachekitError(
                f"the prompt {prompt[:40]!r}... is too long for a file's name; leave out --names vbench"
            )
        requests += [Request(prompt, seed + index, title=name) for index, name in enumerate(names)]
    return requests


def manifest_beside(folder: Path) -> Path:
    """Where the manifest of such a folder is kept."""
    resolved = folder.resolve()
    return resolved.parent / f"{resolved.name}.{NAME}"


@contextmanager
def manifest_at_hand(folder: Path) -> Iterator[None]:
    """While work goes on in `folder`, its manifest is in it; before and after, beside it."""
    inside, beside = folder / NAME, manifest_beside(folder)
    _move(beside, inside)
    try:
        yield
    finally:
        _move(inside, beside)


def _move(source: Path, target: Path) -> None:
    """Move a manifest; one that a killed run left where it belongs stays."""
    if not source.is_file() or (target.name == NAME and target.exists()):
        return
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        source.replace(target)
    except OSError as error:
        raise CachekitError(f"the manifest {str(source)!r} can't be moved: {error.strerror}") from error
