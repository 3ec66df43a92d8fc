"""What a command shows: rich tables on the terminal, and the same as JSON."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cachekit.errors import CachekitError

if TYPE_CHECKING:
    from rich.console import Console


def console(json_file: str | None) -> Console:
    """Where a command prints for people: standard output, or nowhere where that carries JSON.

    Off a terminal lines are as wide as they need to be, so that logs and pipes lose nothing.
    """
    from rich.console import Console

    interactive = sys.stdout.isatty()
    return Console(quiet=json_file == "-", width=None if interactive else 200, soft_wrap=not interactive)


def write_json(content: Any, json_file: str | None) -> None:
    """The result as JSON to the file, or to standard output for `-`; nothing where no file is named."""
    if json_file is None:
        return
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    if json_file == "-":
        sys.stdout.write(text)
        return
    try:
        Path(json_file).write_text(text, encoding="utf-8")
    except OSError as error:
        raise CachekitError(f"the JSON file {json_file!r} can't be written: {error.strerror}") from error


def make_folder(folder: Path) -> None:
    """Make a folder that results go into; CachekitError where that can't be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CachekitError(f"the folder {str(folder)!r} can't be written to: {error.strerror}") from error
