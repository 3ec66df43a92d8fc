"""What a command shows: rich tables on the terminal, and the same as JSON."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cachekit.files.text import plain
from cachekit.files.writing import write_whole

if TYPE_CHECKING:
    from rich.console import Console


def console(json_file: str | None, *, markup: bool = False) -> Console:
    """Where a command prints for people: standard output, or nowhere where that carries JSON.

    Texts are shown as they are, unless `markup` says that brackets in them are escaped where they are none, and
    nothing in them reaches a terminal as a control. Off a terminal lines are as wide as they need to be, so that logs
    and pipes lose nothing.
    """
    from rich.console import Console
    from rich.text import Text

    class Plain(Console):
        def render_str(self, text: str, **options: Any) -> Text:
            return super().render_str(plain(text, keep="\n"), **options)

    interactive = sys.stdout.isatty()
    return Plain(
        quiet=json_file == "-",
        width=None if interactive else 200,
        soft_wrap=not interactive,
        markup=markup,
        emoji=False,
        highlight=False,
    )


def write_json(content: Any, json_file: str | None) -> None:
    """The result as JSON to the file, or to standard output for `-`; nothing where no file is named."""
    if json_file is None:
        return
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    if not encodable(text):
        text = json.dumps(content, indent=2, allow_nan=False) + "\n"
    if json_file == "-":
        sys.stdout.write(text)
    else:
        write_whole(Path(json_file), text, "the JSON file")


def encodable(text: str) -> bool:
    """Whether it is text throughout: names of files may hold bytes that are none."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
