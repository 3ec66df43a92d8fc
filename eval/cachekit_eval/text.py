"""Names of files as text that can be shown: any prompt can be one, newlines and broken encodings included."""

from __future__ import annotations

from pathlib import Path


def printable(name: str | Path) -> str:
    """`name` on one line: control characters escaped, and bytes that are no text."""
    clean = str(name).encode("utf-8", "backslashreplace").decode("utf-8")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in clean)


def quoted(name: str | Path) -> str:
    """`name` on one line and in quotes, for a sentence."""
    return f"'{printable(name)}'"
