"""Baselines of a better sampler, and a reference of more steps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tiny_model import CIRCLE, run_command


def rows(file: Path) -> dict[str, dict[str, Any]]:
    return {row["label"]: row for row in json.loads(file.read_text(encoding="utf-8"))["rows"]}


PATTERN = ("--strategy", "fixed:pattern=XX..X..X")


@pytest.fixture(scope="module")
def report(weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One pattern of 4 computed steps beside its baselines, judged against 8 steps and against 24."""
    folder = tmp_path_factory.mktemp("sampled") / "report"
    command = ("compare", "--weights", weights, "--steps", 8, "--prompt", CIRCLE, "--metrics", "psnr")
    json_file = folder.parent / "told.json"
    status, _, errors = run_command(
        *command, *PATTERN, "--reference-steps", 24, "--report", folder, "--json", json_file
    )
    assert status == 0, errors
    return folder


def test_fewer_steps_run_spaced_well_and_by_both_solvers(report: Path) -> None:
    kinds = [row["kind"] for row in rows(report / "results.json").values()]
    assert kinds.count("fewer steps, spaced well") == 1
    assert kinds.count("better solver") == 2
    sampled = [row for row in rows(report / "results.json").values() if row["kind"] == "better solver"]
    assert {row["label"].rpartition(", ")[2] for row in sampled} == {"ab2", "dpm2m"}
    assert all(row["computed"] == 4 for row in sampled)


def test_the_spacing_is_kept_with_the_report_and_is_the_best_of_its_calibration(report: Path) -> None:
    (known,) = json.loads((report / "spacings.json").read_text()).values()
    assert set(known) == {"4"}
    label = next(label for label, row in rows(report / "results.json").items() if "spaced" in label)
    assert f"spaced {known['4']:g}" in label


def test_a_reference_of_more_steps_judges_all_a_second_time(report: Path) -> None:
    against = rows(report / "reference.json")
    assert against["uncached, 24 steps"]["kind"] == "uncached"
    assert not against["uncached, 24 steps"]["quality"]
    first, second = rows(report / "results.json"), against
    for label in ("fixed pattern=XX..X..X + reuse", "uncached, 4 steps"):
        assert first[label]["quality"]["psnr"]["mean"] != second[label]["quality"]["psnr"]["mean"]
    assert "psnr" in against["uncached, 8 steps"]["quality"]
    assert "uncached, 24 steps" in (report / "reference.html").read_text(encoding="utf-8")


def test_json_holds_both_comparisons(report: Path) -> None:
    told = json.loads((report.parent / "told.json").read_text(encoding="utf-8"))
    assert told.pop("reference") == json.loads((report / "reference.json").read_text(encoding="utf-8"))
    assert told == json.loads((report / "results.json").read_text(encoding="utf-8"))


def test_a_reference_of_no_more_steps_is_refused(weights: Path, tmp_path: Path) -> None:
    status, _, errors = run_command(
        "compare", "--weights", weights, "--steps", 8, *PATTERN, "--reference-steps", 8, "--report", tmp_path / "r"
    )
    assert status == 2
    assert "more than the 8 steps" in errors


@pytest.mark.parametrize(("option", "value"), [("--spacing", "3"), ("--solver", "ab2")])
def test_a_run_is_sampled_as_told_and_its_manifest_says_so(
    weights: Path, tmp_path: Path, option: str, value: str
) -> None:
    manifests = []
    for words in ((), (option, value)):
        out = tmp_path / f"out{len(words)}"
        command = ("run", "--strategy", "none", "--weights", weights, "--steps", 4, "--prompt", CIRCLE, "--out", out)
        status, _, errors = run_command(*command, *words)
        assert status == 0, errors
        manifests.append(json.loads((out / "manifest.jsonl").read_text()))
    assert manifests[0]["sha256"] != manifests[1]["sha256"]


def test_a_solver_that_there_is_not_is_refused_by_name(weights: Path, tmp_path: Path) -> None:
    status, _, errors = run_command("run", "--weights", weights, "--solver", "ab3", "--out", tmp_path / "o")
    assert status == 2
    assert "ab2" in errors
