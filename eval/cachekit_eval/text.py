"""Names of files as text that can be shown: any prompt can be one, newlines and broken encodings included."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

SHOWN = 5


def printable(name: str | Path) -> str:
    """`name` on one line: control characters escaped, and bytes that are no text."""
    clean = str(name).encode("utf-8", "backslashreplace").decode("utf-8")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in clean)


def quoted(name: str | Path) -> str:
    """`name` on one line and in quotes, for a sentence."""
    return f"'{printable(name)}'"


def listed(names: Iterable[str]) -> str:
    """The first few of many names, and how many more there are."""
    shown = list(names)
    more = len(shown) - SHOWN
    return ", ".join(shown[:SHOWN]) + (f" and {more} more" if more > 0 else "")
