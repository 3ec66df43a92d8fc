"""Pages and the markers in them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs

from benchmarks.figures.measuring import ROOT, Kept, Measurement
from cachekit.errors import CachekitError

PAGES = (
    ROOT / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
    ROOT / "eval" / "README.md",
    ROOT / "cachekit" / "opensora" / "mini" / "MODEL_CARD.md",
)
FIGURE = re.compile(r"<!-- figure: (?P<name>[\w-]+) -->\n(?P<body>.*?)<!-- end of figure -->", re.DOTALL)
PUBLISHED = re.compile(r"<!-- published: .+? -->\n.*?<!-- end of published -->", re.DOTALL)
"""Figures from a paper or its repository, whose source the marker names."""
RECORDED = re.compile(r"<!-- recorded: .+? -->\n.*?<!-- end of recorded -->", re.DOTALL)
"""What public code computed outside the repository; the marker says which, and the page how."""

OUTDATED = "**Measured with the weights that opensora-mini had before, and not yet with those that are shipped now.**"


@attrs.frozen
class Figure:
    """A table or plot in a page, drawn from what a measurement kept."""

    name: str
    measurement: Measurement
    draw: Callable[[Kept], str]
    """The markdown between the markers, without the lines that say how it was made."""

    def text(self) -> str:
        if not self.measurement.file.exists():
            return f"Not measured yet on what is shipped: `python -m benchmarks.figures {self.measurement.name}`.\n"
        kept = self.measurement.kept()
        outdated = f"{OUTDATED}\n" if self.measurement.outdated else ""
        return f"{self.draw(kept)}\n\n{kept.provenance}\n{outdated}"


def figures_in(page: Path) -> Iterator[str]:
    """Names of the figures that a page shows."""
    return (match["name"] for match in FIGURE.finditer(page.read_text(encoding="utf-8")))


def drawn(page: Path, figures: dict[str, Figure]) -> str:
    """The page's text with each of its figures drawn anew from the kept results.

    Raises CachekitError for a marker that names no figure.
    """

    def draw(match: re.Match[str]) -> str:
        name = match["name"]
        if name not in figures:
            raise CachekitError(f"{page.name} shows a figure {name!r}, and there is none of that name")
        return f"<!-- figure: {name} -->\n{figures[name].text()}<!-- end of figure -->"

    return FIGURE.sub(draw, page.read_text(encoding="utf-8"))


def table(head: list[str], rows: list[list[str]]) -> str:
    """A markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
