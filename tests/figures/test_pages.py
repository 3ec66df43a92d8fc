"""Every measured number that a page shows is drawn from what was kept of a measurement."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks.figures.every import FIGURES, MEASUREMENTS
from benchmarks.figures.measuring import RESULTS, ROOT, Measurement
from benchmarks.figures.pages import FIGURE, PAGES, PUBLISHED, RECORDED, Figure, drawn, figures_in
from cachekit.errors import CachekitError

CODE = re.compile(r"`[^`]*`")
LINK = re.compile(r"\]\([^)]*\)|\[\d{4}\.\d{5}\]")
MEASURED = re.compile(r"^[^A-Za-z]*\d\.\d|\d ?(dB|%|ms|\u00d7(?!\d)|MiB)|\de[-+]\d")
"""In a cell: a figure at its beginning, or one with a unit. Numbers in code are settings; a name may hold a version."""


def measured_rows(text: str) -> list[str]:
    """Rows of the tables in a text, outside all markers, that hold a measured number."""
    for marked in (FIGURE, PUBLISHED, RECORDED):
        text = marked.sub("", text)
    rows = [line for line in text.splitlines() if line.startswith("|")]
    return [row for row in rows if any(map(is_measured, LINK.sub("", CODE.sub("", row)).strip("|").split("|")))]


def is_measured(cell: str) -> bool:
    return MEASURED.search(cell.strip()) is not None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_shows_what_its_measurements_found(page: Path) -> None:
    assert page.read_text(encoding="utf-8") == drawn(page, FIGURES), "python -m benchmarks.figures --pages"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_table_of_measured_numbers_lies_between_markers(page: Path) -> None:
    assert measured_rows(page.read_text(encoding="utf-8")) == []


def test_a_row_of_measured_numbers_is_noticed_and_one_of_settings_is_not() -> None:
    assert measured_rows("| MagCache | 47.46 |") == ["| MagCache | 47.46 |"]
    assert measured_rows("| `thresh` | `0.12` |\n| paper | [2506.09045](https://a.b/1.2) |") == []
    assert measured_rows("<!-- published: a paper -->\n| MagCache | 47.46 |\n<!-- end of published -->") == []


def test_a_marker_that_names_no_figure_is_refused(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("<!-- figure: no-such -->\n<!-- end of figure -->\n", encoding="utf-8")
    with pytest.raises(CachekitError, match=r"page\.md shows a figure 'no-such'"):
        drawn(page, FIGURES)


def test_every_figure_stands_in_a_page_and_whatever_is_kept_is_shown() -> None:
    shown = {name for page in PAGES for name in figures_in(page)}
    assert shown == set(FIGURES)
    assert {FIGURES[name].measurement.name for name in shown} == set(MEASUREMENTS)
    assert {path.stem for path in RESULTS.glob("*.json")} <= set(MEASUREMENTS)


def test_a_figure_that_was_not_measured_says_so_and_how_to() -> None:
    never = Measurement("never-measured", "cachekit bench", lambda found: found)
    assert "`python -m benchmarks.figures never-measured`" in Figure("never", never, str).text()


def test_what_is_kept_is_small() -> None:
    assert all(path.stat().st_size < 300_000 for path in RESULTS.iterdir())
