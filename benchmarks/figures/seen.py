"""Tables of what was seen of the transformer classes and pipelines of diffusers, each made small."""

from __future__ import annotations

from typing import Any

from benchmarks.figures.measuring import Kept
from benchmarks.figures.pages import table

SAID = {True: "bit-equal", False: "differs"}


def models_table(kept: Kept) -> str:
    """A row a class: why it has a line of its own, and what was seen."""
    head = ["class (as made small)", "line of its own"]
    head += ["watched", "oracle", "uniform, magcache", "run again", "detached"]
    rows = [[f"{row['kind']} ({name})", row["line"] or "none", *cells(row)] for name, row in kept.found.items()]
    return table(head, rows)


def pipelines_table(kept: Kept) -> str:
    """A row a pipeline: its transformers and whether they have a line of their own, and what was seen."""
    head = ["pipeline (as made small)", "transformer", "line of its own"]
    head += ["watched", "oracle", "uniform, magcache", "run again", "disabled"]
    rows = [
        [f"{row['kind']} ({name})", transformers(row), "yes" if row["line"] else "none", *cells(row)]
        for name, row in kept.found.items()
    ]
    return table(head, rows)


def transformers(row: dict[str, Any]) -> str:
    return row["transformer"] + (f", {row['transformers']} of it" if row["transformers"] > 1 else "")


def cells(row: dict[str, Any]) -> list[str]:
    patterns = ", ".join(f"`{pattern}`" for pattern in row["patterns"].values())
    return [
        SAID[row["watched"]],
        f"{row['oracle']:.0e}",
        patterns if row["as_planned"] else f"{patterns} (not as planned)",
        SAID[row["clean"]],
        SAID[row["detached"]],
    ]
