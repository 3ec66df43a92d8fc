"""The report: `index.html` with its figures, strips and videos, `results.json` and `results.csv`."""

from __future__ import annotations

import importlib.resources
import importlib.util
import json
from pathlib import Path
from typing import Any

from cachekit.comparison.previews import Previews
from cachekit.comparison.results import Comparison, as_csv, as_json
from cachekit.errors import CachekitError
from cachekit.files.writing import clean_leftovers, write_whole

PAGE, DATA, TEMPLATE = "index", "results", "page.html.j2"
REFERENCE = "reference"
"""Stem of the files of a comparison with another reference than the uncached model."""


def check_page_can_be_made() -> None:
    """Refuse before anything runs where jinja2 is not installed."""
    if importlib.util.find_spec("jinja2") is None:
        raise CachekitError("the report's page needs jinja2; install it with `pip install 'cachekit-dit[report]'`")


def write_report(folder: Path, comparison: Comparison, stem: str | None = None, previews: int | None = None) -> None:
    """Write the page and the data into the folder, each file whole or not at all; `stem` names them otherwise.

    `previews`: of how many videos of each row the page has a copy to play, the first ones; None for all.
    """
    content = as_json(comparison)
    clean_leftovers(folder)
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    for name, made in ((f"{stem or DATA}.json", text), (f"{stem or DATA}.csv", as_csv(comparison))):
        write_whole(folder / name, made, "the report's file")
    write_whole(folder / f"{stem or PAGE}.html", page(for_page(folder, content, previews)), "the report's file")


def for_page(folder: Path, content: dict[str, Any], count: int | None = None) -> dict[str, Any]:
    """The results with the files that a browser plays in place of the lossless ones, of the first `count` videos."""
    previews = Previews(folder)

    def playable(number: int, video: dict[str, Any]) -> dict[str, Any]:
        shown = video["file"] and (count is None or number < count)
        return {**video, "file": previews.of(video["file"]) if shown else None}

    rows = [
        {**row, "videos": [playable(number, video) for number, video in enumerate(row["videos"])]}
        for row in content["rows"]
    ]
    return {**content, "rows": rows}


def page(content: dict[str, Any]) -> str:
    """The page, self-contained but for the videos beside it."""
    import jinja2

    parts = importlib.resources.files("cachekit.comparison")
    style, script = (parts.joinpath(name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    template = environment.from_string(parts.joinpath(TEMPLATE).read_text(encoding="utf-8"))
    return template.render(results=content, data=script_safe(content), style=style, script=script)


def script_safe(content: Any) -> str:
    """JSON that can stand inside a script element: nothing in it ends the element."""
    text = json.dumps(content, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
