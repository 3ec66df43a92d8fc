"""`compare --ray` and `calibrate --ray`: one report, one profile, as of a single process."""

import json

import pytest
from tiny_model import CIRCLE, SQUARE

pytest.importorskip("ray")
pytestmark = pytest.mark.usefixtures("ray_here")

THRESH = 0.52
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
    computed = {row["computed"] for row in results(tmp_path / "whole")["rows"] if row["kind"] == "fewer steps"}
    assert computed == {3, 4, 5}
    again, _, errors = cachekit(*command, tmp_path / "dealt", *RAY)
    assert again == 0
    assert errors.count("there already") == errors.count("[") > 20


def test_a_dealt_calibration_is_one_process_s(cachekit, weights, tmp_path):
    command = ("calibrate", "magcache", "--weights", weights, "--steps", 5, *ASKED, "--out")
    assert cachekit(*command, tmp_path / "whole.json")[0] == 0
    status, _, errors = cachekit(*command, tmp_path / "dealt.json", *RAY)
    assert status == 0, errors
    whole, dealt = (json.loads((tmp_path / f"{name}.json").read_text()) for name in ("whole", "dealt"))
    assert dealt["made"].pop("command") == whole["made"].pop("command").replace("whole", "dealt")
    assert dealt == whole
    assert not (tmp_path / "dealt.runs").exists()
