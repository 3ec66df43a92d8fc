"""Prompts from the command line, a text file, a JSON list, standard input, or VBench."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from cachekit.errors import CachekitError

STANDARD_INPUT = "-"
VBENCH = "vbench"


def collect_prompts(given: Sequence[str], source: str | None) -> list[str]:
    """The prompts given one by one, then those of `source`: a file, `-` or `vbench`."""
    prompts = [prompt.strip() for prompt in given]
    if not all(prompts):
        raise CachekitError("a prompt is empty; say what the video shows")
    return [*prompts, *(read_prompts(source) if source is not None else [])]


def read_prompts(source: str) -> list[str]:
    """The prompts of a file: a line each, or a JSON list of texts or of objects with `prompt_en`."""
    if source == VBENCH:
        from cachekit.generation.prompts_vbench import vbench_prompts

        return vbench_prompts()
    name = "standard input" if source == STANDARD_INPUT else f"the prompts file {source!r}"
    text = read_text(source, name)
    prompts = from_json(text, name) if text.lstrip().startswith("[") else from_lines(text)
    if not prompts:
        raise CachekitError(f"{name} holds no prompts; write one a line")
    return prompts


def read_text(source: str, name: str) -> str:
    try:
        data = sys.stdin.buffer.read() if source == STANDARD_INPUT else Path(source).read_bytes()
    except OSError as error:
        raise CachekitError(f"{name} can't be read: {error.strerror}") from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CachekitError(f"{name} is not UTF-8 (byte {error.start}); save it as UTF-8") from error


def from_lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def from_json(text: str, name: str) -> list[str]:
    try:
        entries = json.loads(text)
    except json.JSONDecodeError as error:
        raise CachekitError(f"{name} begins like JSON but is malformed: {error}") from error
    prompts = []
    for number, entry in enumerate(entries):
        prompt = entry.get("prompt_en") if isinstance(entry, dict) else entry
        if not isinstance(prompt, str) or not prompt.strip():
            raise CachekitError(f"{name}: entry {number} has no text under 'prompt_en'")
        prompts.append(prompt.strip())
    return prompts
