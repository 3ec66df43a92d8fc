"""Two settings that a comparison's videos can't tell apart are marked, and only those."""

from __future__ import annotations

import io

import numpy as np
from rich.console import Console

from cachekit.cli.comparison_table import show_table
from cachekit.comparison.quality import Metric
from cachekit.comparison.results import Comparison, Row, Video, as_csv, as_json, cannot_be_told_apart, row_of

PSNR = Metric("psnr", "PSNR", "dB", True, "", None)
HARD = np.random.default_rng(2).normal(30, 4, 12)
"""How well any setting does on each of twelve prompts."""
NOISE = np.random.default_rng(3).normal(0, 0.3, 12)


class Named:
    """A contender, as far as a row asks for it."""

    kind, strategy, predictor, given = "setting", "fixed", "reuse", {}

    def __init__(self, label: str, steps: int) -> None:
        self.label = label
        self.setting = type("Setting", (), {"steps": steps})


def row(label: str, figures: np.ndarray, computed: int = 4) -> Row:
    pattern = "X" * computed + "." * (8 - computed)
    videos = [
        Video(f"v{i}", "", 0, None, pattern, None, None, {"psnr": float(figure)}, None)
        for i, figure in enumerate(figures)
    ]
    return row_of(Named(label, 8), videos, [PSNR], 8)  # type: ignore[arg-type]


def comparison(*rows: Row) -> Comparison:
    return Comparison(rows, (PSNR,), {"model": "m", "steps": 8, "prompts": []})


def test_a_small_difference_on_every_video_is_told_apart_and_one_that_changes_sides_is_not() -> None:
    ties = comparison(row("better", HARD + 0.2), row("worse", HARD), row("like it", HARD + NOISE - NOISE.mean())).ties()
    assert ties["worse"] == ["like it"]
    assert "worse" not in ties["better"]


def test_rows_of_other_numbers_of_computed_steps_are_not_compared() -> None:
    assert comparison(row("a", HARD, 4), row("b", HARD, 5)).ties() == {"a": [], "b": []}


def test_one_video_tells_nothing() -> None:
    assert comparison(row("a", HARD[:1]), row("b", HARD[:1])).ties() == {"a": [], "b": []}


def test_only_the_videos_that_both_have_are_compared() -> None:
    assert cannot_be_told_apart({"a": 1.0, "b": 2.0, "c": 9.0}, {"a": 1.0, "b": 2.0})
    assert not cannot_be_told_apart({"a": 1.0, "b": 2.0}, {"a": 2.0, "b": 3.0})


def test_the_table_marks_what_can_not_be_told_apart_from_the_first_of_its_section() -> None:
    console = Console(width=160, record=True, file=io.StringIO())
    show_table(console, comparison(row("first", HARD + 0.01), row("second", HARD + NOISE), row("third", HARD - 3)))
    lines = console.export_text().splitlines()
    assert [("≈" in line) for name in ("first", "second", "third") for line in lines[:-1] if name in line] == [
        False,
        True,
        False,
    ]
    assert "can't be told apart" in lines[-1]


def test_json_and_csv_have_the_interval_and_the_ties() -> None:
    found = comparison(row("a", HARD), row("b", HARD + NOISE - NOISE.mean()))
    by_label = {entry["label"]: entry for entry in as_json(found)["rows"]}
    assert by_label["a"]["ties"] == ["b"]
    quality = by_label["a"]["quality"]["psnr"]
    assert quality["low"] < quality["mean"] < quality["high"]
    head, *lines = as_csv(found).splitlines()
    assert "psnr,psnr_std,psnr_worst,psnr_worst_video,psnr_low,psnr_high" in head
    assert all(line.count(",") == head.count(",") for line in lines)
