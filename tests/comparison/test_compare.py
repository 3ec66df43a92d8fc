"""`cachekit compare`: what runs, in which order, how it is judged, and that nothing finished is lost."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cachekit_eval
import pytest
from tiny_model import CIRCLE, SQUARE, Cachekit, run_command

Compare = Callable[..., tuple[int, str, str]]


def load(report: Path) -> dict[str, Any]:
    results: dict[str, Any] = json.loads((report / "results.json").read_text(encoding="utf-8"))
    return results


def rows(report: Path) -> dict[str, dict[str, Any]]:
    return {row["label"]: row for row in load(report)["rows"]}


def stamps(report: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in report.rglob("videos/*/*.mkv")}


SAMPLED = ("fewer steps, spaced well", "better solver")
"""Kinds of the baselines that a better sampler makes."""
PATTERNS = ("--strategy", "fixed:pattern=XXXX..XX,XX..X..X", "--predictor", "reuse,taylor")
"""A grid that takes no profile: two patterns with both predictors."""


def compare_into(report: Path, weights: Path, *options: object) -> tuple[int, str, str]:
    """Compare on the tiny model, two prompts, 8 steps, PSNR and SSIM."""
    model = ("--weights", weights, "--steps", 8, "--prompt", CIRCLE, "--prompt", SQUARE, "--metrics", "psnr,ssim")
    return run_command("compare", *model, "--report", report, *options)


@pytest.fixture(scope="module")
def compared(weights: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    """The report of PATTERNS, not to be changed, and what the command printed."""
    report = tmp_path_factory.mktemp("compared") / "report"
    status, out, errors = compare_into(report, weights, *PATTERNS)
    assert status == 0, errors
    return report, out, errors


@pytest.fixture
def report(compared: tuple[Path, str, str], tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(compared[0], tmp_path / "report"))


@pytest.fixture
def compare(weights: Path, tmp_path: Path) -> Compare:
    """Compares into `report`."""
    return lambda *options: compare_into(tmp_path / "report", weights, *options)


def test_the_grid_runs_with_the_uncached_model_and_both_baselines(
    compare: Compare, calibrate: Callable[..., Path], tmp_path: Path
) -> None:
    profile = calibrate("teacache")
    grid = ("--strategy", "fixed:pattern=XX.XX.XX", "--strategy", "teacache:thresh=0.6", "--predictor", "reuse,taylor")
    status, _, errors = compare(*grid, "--profile", profile)
    assert status == 0, errors
    found = {label: row for label, row in rows(tmp_path / "report").items() if row["kind"] not in SAMPLED}
    counts = {
        video["pattern"].count("X") for row in found.values() for video in row["videos"] if row["kind"] == "setting"
    }
    assert 6 in counts
    expected = {"uncached"}
    expected |= {f"fixed pattern=XX.XX.XX + {p}" for p in ("reuse", "taylor")}
    expected |= {f"teacache thresh=0.6 + {p}" for p in ("reuse", "taylor")}
    expected |= {f"uncached, {count} steps" for count in counts - {8}}
    expected |= {f"uniform computed={count} + {p}" for count in counts - {8} for p in ("reuse", "taylor")}
    assert set(found) == expected
    assert all(len(row["videos"]) == 2 and row["complete"] for row in found.values())


def test_quality_is_the_evaluators_against_the_full_uncached_videos(report: Path) -> None:
    found = rows(report)
    folders = {label: (report / row["videos"][0]["file"]).parent for label, row in found.items()}
    for label in ("fixed pattern=XX..X..X + taylor", "uncached, 6 steps", "uniform computed=4 + reuse"):
        evaluation = cachekit_eval.evaluate(folders["uncached"], folders[label], ["psnr", "ssim"])
        for metric in ("psnr", "ssim"):
            summary, figure = evaluation[metric], found[label]["quality"][metric]
            assert summary is not None
            assert (figure["mean"], figure["worst"]) == pytest.approx((summary.mean, summary.worst_value))
            assert figure["worst_video"] == summary.worst


def test_speedups_are_of_denoising_and_paired_by_video(report: Path) -> None:
    found = rows(report)
    row, uncached = found["fixed pattern=XX..X..X + reuse"], found["uncached"]
    ratios = [
        theirs["seconds"]["denoising"] / ours["seconds"]["denoising"]
        for theirs, ours in zip(uncached["videos"], row["videos"], strict=True)
    ]
    assert row["speedup"] == pytest.approx(sum(ratios) / 2)
    assert (row["computed"], row["ideal_speedup"]) == (4, 2.0)
    assert found["uncached, 4 steps"]["ideal_speedup"] == 2.0
    assert load(report)["machine"]


def test_settings_are_interleaved_within_each_prompt(compared: tuple[Path, str, str]) -> None:
    _, _, errors = compared
    lines = [line for line in errors.splitlines() if line.startswith("[")]
    order = ["circle" if "red-circle" in line else "square" for line in lines]
    assert order == ["circle"] * 17 + ["square"] * 17
    assert lines[0].partition(" ")[2].split(":")[0] != lines[17].partition(" ")[2].split(":")[0]


def test_the_frontier_holds_what_no_other_beats(report: Path) -> None:
    points = {
        label: (row["ideal_speedup"], row["quality"]["psnr"]["mean"])
        for label, row in rows(report).items()
        if row["quality"]
    }
    unbeaten = {
        label
        for label, (speed, quality) in points.items()
        if not any(s >= speed and q >= quality and (s, q) != (speed, quality) for s, q in points.values())
    }
    assert {label for label, row in rows(report).items() if row["frontier"]} == unbeaten


def test_the_table_and_the_csv_have_the_best_first_within_each_speedup(compared: tuple[Path, str, str]) -> None:
    report, out, _ = compared
    with (report / "results.csv").open(encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    order = [line["label"] for line in lines]
    assert order[0] == "uncached"
    keys = [(-float(line["computed"]), -float(line["psnr"])) for line in lines[1:]]
    assert keys == sorted(keys)
    places = [out.index(f" {label} ") for label in order[1:]]
    assert places == sorted(places)


def test_the_same_command_again_makes_nothing_anew_and_another_setting_only_itself(
    compare: Compare, report: Path
) -> None:
    before, first = stamps(report), load(report)
    compare(*PATTERNS)
    assert stamps(report) == before
    assert load(report)["rows"] == first["rows"]
    status, _, errors = compare(*PATTERNS, "--strategy", "fixed:pattern=XXX.X.XX")
    after = stamps(report)
    assert status == 0
    assert {path: after[path] for path in before} == before
    assert len(after) - len(before) == 2 * 2
    assert errors.count("denoised in") == 2 * 2


def test_an_interrupted_comparison_keeps_what_was_finished(
    compare: Compare, compared: tuple[Path, str, str], report: Path
) -> None:
    victim = report / rows(report)["uniform computed=4 + reuse"]["videos"][1]["file"]
    others = {path: stamp for path, stamp in stamps(report).items() if path != victim}
    content = victim.read_bytes()
    victim.write_bytes(content[: len(content) // 2])
    for name in ("results.json", "index.html", "results.csv"):
        (report / name).unlink()
    status, _, _ = compare(*PATTERNS)
    assert status == 0
    assert victim.read_bytes() == content
    assert {path: stamp for path, stamp in stamps(report).items() if path != victim} == others
    assert {label: row["quality"] for label, row in rows(report).items()} == {
        label: row["quality"] for label, row in rows(compared[0]).items()
    }


BROKEN = '''
import attrs, cachekit

@attrs.define
class Broken(cachekit.Strategy):
    """Gives up at the fourth step."""

    def should_compute(self, step):
        if step.index == 3:
            raise RuntimeError("out of ideas")
        return True

@cachekit.hookimpl
def cachekit_strategies(register):
    register("broken", Broken)
'''


def test_a_setting_that_fails_is_named_and_the_others_go_on(
    compare: Compare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_strategy.py").write_text(BROKEN)
    monkeypatch.syspath_prepend(str(tmp_path))
    status, out, errors = compare(
        "--plugin", "broken_strategy", "--strategy", "broken", "--strategy", "fixed:pattern=XX.XX.XX"
    )
    found = rows(tmp_path / "report")
    assert status == 1
    assert "broken + reuse (2 of 2 failed)" in out
    assert errors.count("RuntimeError: out of ideas") == 4
    assert [video["failure"] for video in found["broken + reuse"]["videos"]] == ["RuntimeError: out of ideas"] * 2
    assert all(row["complete"] for label, row in found.items() if label != "broken + reuse")
    assert "out of ideas" in (tmp_path / "report" / "index.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--strategy", "fixd"), "did you mean 'fixed'"),
        (("--strategy", "uniform:computd=3"), "did you mean 'computed'"),
        (("--strategy", "uniform:computed=3", "--predictor", "taylro"), "did you mean 'taylor'"),
        (("--strategy", "uniform:computed=3", "--predictor", "taylor:order=-1"), "order"),
        (("--strategy", "uniform:computed=3,nine"), "computed must be int"),
        (("--strategy", "magcache"), "needs ratios"),
        (("--strategy", "uniform:computed=3,9"), "can't compute 9 of 8 steps"),
        (("--strategy", "uniform:computed=3", "--metrics", "psrn"), "did you mean 'psnr'"),
    ],
)
def test_a_grid_that_can_not_run_fails_before_anything_runs(
    compare: Compare, tmp_path: Path, options: tuple[str, ...], reason: str
) -> None:
    status, _, errors = compare(*options)
    assert (status, reason in errors) == (2, True), errors
    assert not list(tmp_path.rglob("*.mkv"))


def test_a_config_file_says_the_same_as_the_command_line(
    cachekit: Cachekit, report: Path, weights: Path, tmp_path: Path
) -> None:
    config = tmp_path / "compare.toml"
    config.write_text(
        f'''
        weights = "{weights}"
        steps = 8
        prompt = ["{CIRCLE}", "{SQUARE}"]
        metrics = "psnr,ssim"
        strategy = "fixed:pattern=XXXX..XX,XX..X..X"
        predictor = ["reuse", "taylor"]
        report = "{tmp_path / "from-file"}"
        '''
    )
    status, _, errors = cachekit("compare", "--config", config)
    assert status == 0, errors
    here, there = rows(report), rows(tmp_path / "from-file")
    assert {label: row["quality"] for label, row in here.items()} == {
        label: row["quality"] for label, row in there.items()
    }
    command = json.loads((tmp_path / "from-file" / "results.json").read_text())["command"]
    for words in ("--steps 8", "--metrics psnr,ssim", "--predictor reuse --predictor taylor", "--strategy fixed:"):
        assert words in command
    cachekit("compare", "--config", config, "--report", tmp_path / "other", "--strategy", "uniform:computed=5")
    assert {row["strategy"] for row in rows(tmp_path / "other").values()} == {"none", "uniform"}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("stratgy = 'fixed'", "did you mean 'strategy'"),
        ("steps = [8, 9]", "steps in"),
        ("steps = ", "is no TOML"),
        ("offload = 'yes'", "must be true or false"),
    ],
)
def test_a_config_file_that_is_wrong_is_refused(cachekit: Cachekit, tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "compare.toml").write_text(text)
    status, _, errors = cachekit("compare", "--config", tmp_path / "compare.toml", "--report", tmp_path / "report")
    assert (status, reason in errors) == (2, True), errors
