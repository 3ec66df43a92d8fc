"""`calibrate` and `compare` in shares: what comes of them is one profile, one report, as of a single process."""

import csv
import io
import json
import re
import shutil

import pytest
from tiny_model import CIRCLE, SQUARE

THRESH = 0.658
PROMPTS = (CIRCLE, SQUARE, "a blue triangle moves up over the sea")
ASKED = [word for prompt in PROMPTS for word in ("--prompt", prompt)]


@pytest.mark.parametrize("strategy", ["magcache", "teacache", "gramcache"])
def test_the_last_share_writes_the_profile_that_one_process_writes(cachekit, weights, tmp_path, strategy):
    command = ["calibrate", strategy, "--weights", weights, "--steps", 5, *ASKED, "--out"]
    assert cachekit(*command, tmp_path / "whole.json")[0] == 0
    for number in (2, 1):
        status, out, _ = cachekit(*command, tmp_path / "shared.json", "--shard", f"{number}/2")
        assert status == 0
        assert (tmp_path / "shared.json").exists() == (number == 1)
    assert "3 runs" in out
    whole, shared = (json.loads((tmp_path / f"{name}.json").read_text()) for name in ("whole", "shared"))
    assert shared["made"].pop("command") == whole["made"].pop("command").replace("whole", "shared")
    assert shared == whole


def test_runs_of_several_machines_are_gathered_into_one_profile(cachekit, weights, tmp_path):
    command = ["calibrate", "magcache", "--weights", weights, "--steps", 5, *ASKED, "--out"]
    for number in (1, 2):
        (tmp_path / f"machine-{number}").mkdir()
        cachekit(*command, tmp_path / f"machine-{number}" / "profile.json", "--shard", f"{number}/2")
    folders = [tmp_path / f"machine-{number}" / "profile.runs" for number in (1, 2)]
    status, _, errors = cachekit("gather", folders[0], "--out", tmp_path / "profile.json")
    assert status == 2
    assert f"1 of 3 runs are not in these folders, {SQUARE!r} with seed 0 among them" in errors
    assert cachekit("gather", *folders, "--out", tmp_path / "profile.json")[0] == 0
    cachekit(*command, tmp_path / "whole.json")
    whole, joined = (json.loads((tmp_path / f"{name}.json").read_text()) for name in ("whole", "profile"))
    assert joined["values"] == whole["values"]
    assert joined["evidence"] == whole["evidence"]
    assert joined["made"]["runs"] == whole["made"]["runs"]


def test_a_share_of_another_calibration_is_refused(cachekit, weights, tmp_path):
    command = ["calibrate", "magcache", "--weights", weights, *ASKED, "--out", tmp_path / "profile.json", "--shard"]
    cachekit(*command, "1/2", "--steps", 5)
    status, _, errors = cachekit(*command, "2/2", "--steps", 6)
    assert status == 2
    assert "conditions steps 5, not 6" in errors


@pytest.mark.parametrize("line", ['{"piece": "0"}', '{"piece": 3, "record": {}}', "[]", "7", '{"piece": "0", "rec'])
def test_a_damaged_line_of_what_is_done_is_named(cachekit, weights, tmp_path, line):
    command = ["calibrate", "magcache", "--weights", weights, *ASKED, "--steps", 5, "--out", tmp_path / "profile.json"]
    cachekit(*command, "--shard", "1/2")
    (ledger,) = tmp_path.rglob("done-1-of-2.jsonl")
    ledger.write_text(ledger.read_text() + line + "\n")
    status, _, errors = cachekit(*command, "--shard", "2/2")
    assert status == 2
    assert "is damaged" in errors


def test_a_calibration_goes_on_with_another_number_of_shares(cachekit, weights, tmp_path):
    command = ["calibrate", "magcache", "--weights", weights, "--steps", 5, *ASKED, "--out", tmp_path / "profile.json"]
    cachekit(*command, "--shard", "1/3")
    _, _, errors = cachekit(*command, "--shard", "1/2")
    assert "[1/1]" in errors
    cachekit(*command, "--shard", "2/2")
    assert len(json.loads((tmp_path / "profile.json").read_text())["made"]["runs"]) == 3


def rows(report):
    """The report's rows without times: what the machine was, and how long each video took there."""
    content = json.loads((report / "results.json").read_text())
    for row in content["rows"]:
        for timed in (row, *row["videos"]):
            for name in ("seconds", "speedup"):
                timed.pop(name)
    content.pop("command")
    return content


def table(report):
    lines = csv.DictReader(io.StringIO((report / "results.csv").read_text()))
    return [{key: value for key, value in line.items() if "second" not in key and key != "speedup"} for line in lines]


@pytest.fixture
def compare(cachekit, weights):
    """TeaCache's computed steps differ from prompt to prompt here, so baselines join as the prompts are run."""

    def compare(report, *options):
        strategies = (
            "--strategy",
            f"teacache:thresh={THRESH}:coefficients=[1,0]",
            "--strategy",
            "fixed:pattern=X.X.X.",
        )
        command = ("compare", "--weights", weights, "--steps", 6, *ASKED, *strategies)
        return cachekit(*command, "--metrics", "psnr", "--report", report, *options)

    return compare


def test_the_last_share_of_a_comparison_writes_the_report_that_one_process_writes(compare, tmp_path):
    assert compare(tmp_path / "whole")[0] == 0
    for number in (3, 1, 2):
        status, out, errors = compare(tmp_path / "shared", "--shard", f"{number}/3")
        assert status == 0, errors
        counted = [tuple(map(int, found)) for found in re.findall(r"^\[(\d+)/(\d+)\]", errors, re.MULTILINE)]
        assert all(done <= expected for done, expected in counted)
        assert ("report: " in out) == (number == 2)
        assert (tmp_path / "shared" / "index.html").exists() == (number == 2)
    assert rows(tmp_path / "shared") == rows(tmp_path / "whole")
    assert table(tmp_path / "shared") == table(tmp_path / "whole")


def test_reports_of_several_machines_are_gathered_into_one(compare, cachekit, tmp_path):
    compare(tmp_path / "whole")
    machines = [tmp_path / "machine-1", tmp_path / "machine-2"]
    for number, machine in enumerate(machines, start=1):
        compare(machine, "--shard", f"{number}/2")
        assert not (machine / "index.html").exists()
    status, _, errors = cachekit("gather", machines[0], "--out", tmp_path / "half")
    assert status == 2
    assert "are not made yet" in errors
    status, out, errors = cachekit("gather", *machines, "--out", tmp_path / "joined")
    assert status == 0, errors
    assert "report: " in out
    assert rows(tmp_path / "joined") == rows(tmp_path / "whole")
    assert table(tmp_path / "joined") == table(tmp_path / "whole")


def test_reports_of_other_settings_are_not_gathered(compare, cachekit, tmp_path):
    compare(tmp_path / "a", "--shard", "1/2")
    compare(tmp_path / "b", "--shard", "2/2", "--seed", 5)
    status, _, errors = cachekit("gather", tmp_path / "a", tmp_path / "b", "--out", tmp_path / "c")
    assert status == 2
    assert "one compares with seed 5, not 0" in errors


def test_seconds_of_unlike_machines_are_not_set_against_each_other_and_both_are_named(compare, tmp_path):
    compare(tmp_path / "report")
    manifest = next(path for path in (tmp_path / "report" / "videos").glob("fixed*")) / "manifest.jsonl"
    lines = [json.loads(line) for line in manifest.read_text().splitlines()]
    lines[0]["machine"] = "Another GPU"
    manifest.write_text("".join(json.dumps(line) + "\n" for line in lines))
    shutil.rmtree(tmp_path / "report" / "previews", ignore_errors=True)
    assert compare(tmp_path / "report")[0] == 0
    content = json.loads((tmp_path / "report" / "results.json").read_text())
    assert content["machine"].endswith(", and Another GPU")
    fixed = next(row for row in content["rows"] if row["strategy"] == "fixed")
    assert [video["speedup"] is None for video in fixed["videos"]] == [True, False, False]
    assert "Another GPU" in (tmp_path / "report" / "index.html").read_text()
