"""VBench's prompts, as the papers generate them: from the installed `vbench` package, which is not imported."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from cachekit.errors import CachekitError
from cachekit.files.reading import parse_json, read_text

FILE = "VBench_full_info.json"
INSTALL = "`pip install --no-deps vbench` (the prompts need nothing else of it)"


def vbench_prompts() -> list[str]:
    """The prompts in the order of the package's file, 946 of them in version 0.1.5, of which two occur twice.

    Raises CachekitError where vbench is not installed or its file is not what it was.
    """
    file = vbench_file()
    try:
        entries = parse_json(read_text(file))
        prompts = [entry["prompt_en"] for entry in entries]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CachekitError(f"{str(file)!r} holds no prompts ({error!r}); install vbench again: {INSTALL}") from error
    if not prompts or not all(isinstance(prompt, str) and prompt for prompt in prompts):
        raise CachekitError(f"{str(file)!r} holds no prompts; install vbench again: {INSTALL}")
    return prompts


def vbench_file() -> Path:
    """Where the installed package has its list; raises CachekitError where it is not installed or lacks it."""
    spec = importlib.util.find_spec("vbench")
    if spec is None:
        raise CachekitError(f"the prompts of VBench come with the package vbench; install it: {INSTALL}")
    for folder in spec.submodule_search_locations or ():
        if (Path(folder) / FILE).is_file():
            return Path(folder) / FILE
    raise CachekitError(f"the installed vbench has no {FILE}; install another version: {INSTALL}")
