"""`compare --ray` and `calibrate --ray`: one report, one profile, as of a single process."""

import json
import shutil

import pytest
from tiny_model import CIRCLE, SQUARE

pytest.importorskip("ray")
pytestmark = pytest.mark.usefixtures("ray_here")

THRESH = 0.658
ASKED = [word for prompt in (CIRCLE, SQUARE, "a blue triangle moves up over the sea") for word in ("--prompt", prompt)]
RAY = ("--ray", "auto", "--workers", 2)


def results(report):
    content = json.loads((report / "results.json").read_text())
    for row in content["rows"]:
        for timed in (row, *row["videos"]):
            for name in ("seconds", "speedup"):
                timed.pop(name)
    return {key: value for key, value in content.items() if key not in ("command", "machine")}


def test_a_dealt_comparison_is_one_process_s_and_each_prompt_is_one_worker_s(cachekit, weights, tmp_path):
    """TeaCache computes four or five steps, by the prompt, so a baseline joins when the last prompt is run."""
    strategies = ("--strategy", f"teacache:thresh={THRESH}:coefficients=[1,0]", "--strategy", "fixed:pattern=X.X.X.")
    command = ("compare", "--weights", weights, "--steps", 6, *ASKED, *strategies, "--metrics", "psnr", "--report")
    assert cachekit(*command, tmp_path / "whole")[0] == 0
    status, _, errors = cachekit(*command, tmp_path / "dealt", *RAY)
    assert status == 0, errors
    assert results(tmp_path / "dealt") == results(tmp_path / "whole")
    rows = results(tmp_path / "whole")["rows"]
    assert {row["computed"] for row in rows if row["kind"] == "fewer steps"} == {3, 4, 5}
    for late in (tmp_path / "dealt" / "videos").glob("*5-steps*"):
        shutil.rmtree(late)
    assert cachekit(*command, tmp_path / "dealt", *RAY)[0] == 0
    assert results(tmp_path / "dealt") == results(tmp_path / "whole")
    again, _, errors = cachekit(*command, tmp_path / "dealt", *RAY)
    assert again == 0
    assert errors.count("there already") == len(errors.splitlines()) == 3 * len(rows)


def test_a_dealt_calibration_is_one_process_s(cachekit, weights, tmp_path):
    command = ("calibrate", "magcache", "--weights", weights, "--steps", 5, *ASKED, "--out")
    assert cachekit(*command, tmp_path / "whole.json")[0] == 0
    status, _, errors = cachekit(*command, tmp_path / "dealt.json", *RAY)
    assert status == 0, errors
    whole, dealt = (json.loads((tmp_path / f"{name}.json").read_text()) for name in ("whole", "dealt"))
    assert dealt["made"].pop("command") == whole["made"].pop("command").replace("whole", "dealt")
    assert dealt == whole
    assert not (tmp_path / "dealt.runs").exists()


def test_a_dealt_search_tries_as_many_settings_in_parallel_and_checks_the_best(cachekit, weights, tmp_path):
    command = ("tune", "uniform", "--weights", weights, "--steps", 6, "--min-speedup", 1.4, "--trials", 6, *ASKED)
    check = tmp_path / "check.txt"
    check.write_text("a white circle moves right over a meadow\n")
    kept = (
        "--search",
        "computed=2..4",
        "--predictor",
        "reuse,taylor",
        "--check-prompts",
        check,
        "--folder",
        tmp_path / "tune",
        "--json",
        "-",
    )
    status, out, errors = cachekit(*command, *kept, *RAY)
    assert status in (0, 1), errors
    content = json.loads(out)
    assert content["trials"] == 6
    assert content["best"]["ideal_speedup"] >= 1.4
    assert content["check"]["psnr"] > 0
    again, out, errors = cachekit(*command, *kept)
    assert (again, json.loads(out)["trials"], json.loads(out)["best"]) == (status, 6, content["best"])
    assert "trial" not in errors
