"""What is kept of a measurement, and when."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from benchmarks.figures import measuring
from benchmarks.figures.comparisons import (
    counts_table,
    frontier_table,
    keep_both,
    keep_rows,
    of,
    reference_table,
    whole_table,
)
from benchmarks.figures.measuring import Kept, Measurement
from benchmarks.figures.pages import OUTDATED, Figure
from cachekit.errors import CachekitError

PROGRAM = """
import json, sys
folder, file = sys.argv[2], sys.argv[4]
json.dump({"found": [1, 2], "videos": folder}, open(file, "w"))
"""


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(measuring, "RESULTS", tmp_path / "results")
    path = tmp_path / "program.py"
    path.write_text(PROGRAM, encoding="utf-8")
    return path


def test_what_a_command_found_is_kept_with_how_it_was_made(program: Path, tmp_path: Path) -> None:
    measurement = Measurement("small", f"python {program}", lambda found: found["found"], folder_option="--report")
    measurement.measure(tmp_path / "work")
    kept = measurement.kept()
    assert kept.found == [1, 2]
    assert kept.command == f"python {program}"
    assert kept.date == date.today().isoformat()
    assert set(kept.versions) == {"cachekit-dit", "torch", "python"}
    assert "processors" in kept.machine


def test_a_command_that_fails_leaves_what_was_kept(program: Path, tmp_path: Path) -> None:
    good = Measurement("small", f"python {program}", lambda found: found, folder_option="--report")
    good.measure(tmp_path / "work")
    before = good.file.read_bytes()
    bad = Measurement("small", f"python {tmp_path / 'missing.py'}", lambda found: found)
    with pytest.raises(CachekitError, match="small was not measured"):
        bad.measure(tmp_path / "work")
    assert good.file.read_bytes() == before


def test_a_measurement_that_was_never_made_says_how_to_make_it(program: Path) -> None:
    with pytest.raises(CachekitError, match=r"python -m benchmarks\.figures small"):
        Measurement("small", f"python {program}", lambda found: found).kept()


def test_a_figure_of_the_embedded_model_says_where_other_weights_ship_now(
    program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measurement = Measurement(
        "small", f"python {program}", lambda found: found, folder_option="--report", embedded=True
    )
    measurement.measure(tmp_path / "work")
    figure = Figure("small", measurement, str)
    assert measurement.kept().weights == measuring.shipped_weights()
    assert OUTDATED not in figure.text()
    monkeypatch.setattr(measuring, "shipped_weights", lambda: "others")
    assert figure.text().endswith(f"{OUTDATED}\n")


def report() -> dict[str, Any]:
    def row(label: str, kind: str, computed: float, figures: list[float]) -> dict[str, Any]:
        mean = sum(figures) / len(figures)
        quality = {"psnr": {"mean": mean, "worst": min(figures), "low": mean - 1, "high": mean + 1, "std": 1.0}}
        videos = [{"quality": {"psnr": figure}} for figure in figures]
        return {"label": label, "kind": kind, "frontier": False, "computed": computed, "ideal_speedup": 30 / computed,
                "speedup": 2.0, "quality": quality, "videos": videos}  # fmt: skip

    rows = [
        row("magcache thresh=0.1 + reuse", "setting", 12, [40.0, 42.0]),
        row("magcache thresh=0.2 + reuse", "setting", 12, [43.0, 45.0]),
        row("magcache thresh=0.2 + damped", "setting", 12, [50.0, 52.0]),
        row("uncached, 12 steps", "fewer steps", 12, [30.0, 32.0]),
    ]
    return {"main_metric": "psnr", "rows": rows}


def test_a_methods_best_setting_with_as_many_steps_is_shown() -> None:
    kept = Kept("cachekit compare", "a machine", {}, "2026-01-01", json.loads(json.dumps(keep_rows(report()))))
    drawn = counts_table(kept, (12, 10), (("MagCache", of("magcache", "reuse")), ("TeaCache", of("teacache"))))
    assert "| MagCache | 44.00 / 43.00 |  |" in drawn
    assert "| TeaCache |  |  |" in drawn


def test_a_row_of_other_than_whole_steps_says_how_many() -> None:
    found = keep_rows(report())
    found["rows"][1]["computed"] = 11.375
    kept = Kept("cachekit compare", "a machine", {}, "2026-01-01", found)
    drawn = counts_table(kept, (12, 10), (("MagCache", of("magcache", "reuse")),))
    assert "| MagCache | 44.00 / 43.00 (11.4) |  |" in drawn


def test_beside_the_frontier_stands_each_way_where_it_is_nearest() -> None:
    found = keep_rows(report())
    found["rows"][1]["computed"] = 11
    found["rows"][2]["frontier"] = True
    kept = Kept("cachekit compare", "a machine", {}, "2026-01-01", found)
    ways = (("MagCache", of("magcache", "reuse")),)
    shown = [line.split(" | ")[1] for line in frontier_table(kept, 12, ways).splitlines()[2:]]
    assert shown == ["magcache thresh=0.1 + reuse", "magcache thresh=0.2 + damped"]
    found["rows"][1]["computed"] = 12
    assert "magcache thresh=0.2 + reuse" in frontier_table(kept, 12, ways)
    assert "magcache thresh=0.1 + reuse" not in frontier_table(kept, 12, ways)


def test_beside_the_frontier_stands_nothing_of_a_way_that_failed_or_was_not_run() -> None:
    found = keep_rows(report())
    found["rows"][1]["quality"] = {}
    kept = Kept("cachekit compare", "a machine", {}, "2026-01-01", found)
    drawn = frontier_table(kept, 12, (("MagCache", of("magcache", "reuse")), ("TeaCache", of("teacache"))))
    assert [line.split(" | ")[1] for line in drawn.splitlines()[2:]] == ["magcache thresh=0.1 + reuse"]


def test_the_fifth_percentile_is_of_the_videos() -> None:
    assert keep_rows(report())["rows"][0]["quality"]["psnr"]["percentile_5"] == pytest.approx(40.1)


def test_a_reference_of_more_steps_has_a_table_of_its_own() -> None:
    both = report() | {"reference": report()}
    for row in both["reference"]["rows"]:
        row["quality"]["psnr"]["mean"] = 77.7
    kept = Kept("cachekit compare", "a machine", {}, "2026-01-01", json.loads(json.dumps(keep_both(both))))
    assert "77.70" in reference_table(kept)
    assert "77.70" not in whole_table(kept)
