"""Prompts from the command line, a text file, a JSON list, standard input, or VBench."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from cachekit.errors import CachekitError
from cachekit.files.reading import parse_json, read_text, shortened
from cachekit.files.text import plain
from cachekit.files.writing import reason

LARGEST = 2**26
"""Bytes up to which prompts are read: all captions of a data set of a million videos."""
LONGEST = 100_000
"""Characters of one prompt."""
KEYS = ("prompt_en", "prompt")
"""Under which an object may have its text: VBench's, and a manifest's."""
STANDARD_INPUT = "-"
VBENCH = "vbench"


def collect_prompts(given: Sequence[str], source: str | None) -> list[str]:
    """The prompts given one by one, then those of `source`: a file, `-` or `vbench`."""
    prompts = [checked(prompt.strip(), "a prompt") for prompt in given]
    return [*prompts, *(read_prompts(source) if source is not None else [])]


def read_prompts(source: str) -> list[str]:
    """The prompts of a file: a line each; or JSON, a list, `{"prompts": [...]}` or a value a line.

    In JSON a prompt is a text, or an object with `prompt_en` or `prompt`.
    """
    if source == VBENCH:
        from cachekit.generation.prompts_vbench import vbench_prompts

        return vbench_prompts()
    name = "standard input" if source == STANDARD_INPUT else f"the prompts file {source!r}"
    text = read_source(source, name)
    begins = text.lstrip()[:1]
    if begins == "[":
        prompts = from_entries(parsed(text, name), name)
    elif begins == "{":
        prompts = from_objects(text, name)
    else:
        prompts = from_lines(text, name)
    if not prompts:
        raise CachekitError(f"{name} holds no prompts; write one a line")
    return prompts


def read_source(source: str, name: str) -> str:
    """The text of standard input or of a file, within bounds."""
    try:
        if source != STANDARD_INPUT:
            return read_text(Path(source), LARGEST)
        data = sys.stdin.buffer.read(LARGEST + 1)
        if len(data) > LARGEST:
            raise ValueError(f"it is longer than {LARGEST // 2**20} MiB")
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CachekitError(f"{name} is not UTF-8 (byte {error.start}); save it as UTF-8") from error
    except OSError as error:
        raise CachekitError(f"{name} can't be read: {reason(error)}") from error
    except ValueError as error:
        raise CachekitError(f"{name} can't be read: {error}") from error


def from_lines(text: str, name: str) -> list[str]:
    """A prompt a line, in quotes or not; lines of JSON among them are refused, since nobody means their text."""
    prompts = []
    for number, line in enumerate(text.splitlines(), start=1):
        prompt = line.strip()
        if prompt.startswith("{") or (prompt.startswith('"') and prompt.endswith('"') and len(prompt) > 1):
            try:
                value = parse_json(prompt)
            except ValueError:
                value = None
            if isinstance(value, dict):
                raise CachekitError(
                    f"{name}: line {number} is JSON and others are not; write every line as JSON, or none"
                )
            prompt = value.strip() if isinstance(value, str) else prompt
        if prompt:
            prompts.append(checked(prompt, f"{name}: line {number}"))
    return prompts


def from_objects(text: str, name: str) -> list[str]:
    """The prompts of `{"prompts": [...]}`, or of JSON lines."""
    lines = [(number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]
    try:
        parse_json(lines[0][1])
    except ValueError:
        whole = parsed(text, name)
        lines = []
    else:
        whole = parse_json(lines[0][1]) if len(lines) == 1 else None
    if isinstance(whole, dict) and "prompts" in whole:
        return from_entries(whole["prompts"], name)
    if whole is not None:
        return from_entries([whole], name)
    return from_entries([parsed(line, f"{name}, line {number}") for number, line in lines], name)


def parsed(text: str, name: str) -> object:
    try:
        return parse_json(text)
    except ValueError as error:
        raise CachekitError(f"{name} begins like JSON but is malformed: {error}") from error


def from_entries(entries: object, name: str) -> list[str]:
    if not isinstance(entries, list):
        raise CachekitError(f"{name} has no list under 'prompts'; write it as a list of texts")
    prompts = []
    for number, entry in enumerate(entries):
        texts = [entry.get(key) for key in KEYS if key in entry] if isinstance(entry, dict) else [entry]
        if not texts or not isinstance(texts[0], str) or not texts[0].strip():
            raise CachekitError(f"{name}: entry {number} has no text under 'prompt_en'")
        prompts.append(checked(texts[0].strip(), f"{name}: entry {number}"))
    return prompts


def checked(prompt: str, what: str) -> str:
    """The prompt, refused where nothing can be made of it."""
    if not prompt:
        raise CachekitError(f"{what} is empty; say what the video shows")
    if len(prompt) > LONGEST:
        raise CachekitError(f"{what} is {len(prompt)} characters long; say it in {LONGEST} at most")
    try:
        prompt.encode()
    except UnicodeEncodeError:
        raise CachekitError(f"{what} is no text in UTF-8: '{plain(shortened(prompt))}'") from None
    return prompt
