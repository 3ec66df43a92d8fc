"""An evaluation that is stopped goes on: what `--json` holds is not computed anew, unless something changed."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import attrs
import cachekit_eval
import numpy as np
import pytest
from cachekit_eval import Metric


@attrs.define
class Counting(Metric):
    """Says how often it was asked."""

    label = "N"
    protocol = "mean absolute difference"
    higher_is_better = False
    scale: float = 1.0
    _asked: list[int] = attrs.field(factory=list, init=False)

    def compare(self, gt, gen):
        self._asked.append(len(gt))
        return np.abs(gt.astype(float) - gen).mean(axis=(1, 2, 3)) * self.scale


@pytest.fixture
def evaluate(folders, tmp_path):
    """Evaluates the folders with the JSON kept; returns the result and how many frames were computed."""

    def run(scale=1.0, **options):
        metric = Counting(scale)
        result = cachekit_eval.evaluate(*folders, [metric, "ssim"], keep_in=tmp_path / "r.json", **options)
        return result, sum(metric._asked)

    return run


def test_unchanged_pairs_are_not_computed_anew_and_give_the_same_to_the_last_digit(evaluate, tmp_path):
    first, computed = evaluate(per_frame=True)
    written = (tmp_path / "r.json").read_text()
    second, again = evaluate(per_frame=True)
    assert (computed, again) == (15, 0)
    assert second == first
    assert (tmp_path / "r.json").read_text() == written


def test_a_pair_of_which_a_file_changed_is_computed_anew_alone(evaluate, folders, write_video, clip):
    evaluate()
    write_video(folders[1] / "b.mkv", clip(seed=1, error=40))
    result, computed = evaluate()
    assert computed == 5
    assert result["counting"].worst == "b"


def test_a_renamed_pair_is_known_by_what_is_in_it(evaluate, folders):
    evaluate()
    for folder in folders:
        (folder / "b.mkv").rename(folder / "renamed.mkv")
    result, computed = evaluate()
    assert computed == 0
    assert [video.name for video in result.videos] == ["a", "c", "renamed"]


@pytest.mark.parametrize(
    "options",
    [{"scale": 2.0}, {"common_frames": True}, {"resize": True}, {"per_frame": True}],
)
def test_other_conditions_are_computed_anew(evaluate, options):
    evaluate()
    assert evaluate(**options)[1] == 15


def test_failures_are_tried_again(evaluate, folders):
    whole = (folders[1] / "b.mkv").read_bytes()
    (folders[1] / "b.mkv").write_bytes(b"")
    assert len(evaluate()[0].failures) == 1
    (folders[1] / "b.mkv").write_bytes(whole)
    result, computed = evaluate()
    assert (result.complete, computed) == (True, 5)


def test_manifests_are_read_anew(evaluate, folders):
    evaluate()
    (folders[1] / "manifest.jsonl").write_text('{"file": "a.mkv", "prompt": "a cat"}')
    result, computed = evaluate()
    assert (result.videos[0].made.prompt, computed) == ("a cat", 0)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"\xff", b'{"folders": 3}', b"[" * 100_000, b'{"conditions": null}']
)
def test_a_file_that_is_something_else_is_written_over(evaluate, tmp_path, content):
    (tmp_path / "r.json").write_bytes(content)
    assert evaluate()[1] == 15
    assert json.loads((tmp_path / "r.json").read_text())["folders"][0]["compared"] == 3


def test_a_figure_that_is_no_number_is_computed_anew(evaluate, tmp_path):
    evaluate()
    text = (tmp_path / "r.json").read_text()
    content = json.loads(text)
    content["folders"][0]["videos"][0]["metrics"]["ssim"] = float("nan")
    (tmp_path / "r.json").write_text(json.dumps(content))
    assert evaluate()[1] == 5


def test_frames_folders_are_known_by_their_frames_and_numbers(tmp_path, write_frames, clip):
    for side in ("gt", "gen"):
        write_frames(tmp_path / side / "a", clip(3))

    def computed():
        metric = Counting()
        cachekit_eval.evaluate(tmp_path / "gt", tmp_path / "gen", [metric], keep_in=tmp_path / "r.json")
        return sum(metric._asked)

    assert (computed(), computed()) == (3, 0)
    for side in ("gt", "gen"):
        (tmp_path / side / "a" / "frame3.png").rename(tmp_path / side / "a" / "frame4.png")
    assert computed() == 3


def test_what_is_done_when_an_evaluation_is_interrupted_is_kept(folders, tmp_path):
    class Interrupted(Counting):
        def compare(self, gt, gen):
            if len(self._asked) == 7:
                raise KeyboardInterrupt
            return super().compare(gt, gen)

    with pytest.raises(KeyboardInterrupt):
        cachekit_eval.evaluate(*folders, [Interrupted()], keep_in=tmp_path / "r.json")
    (folder,) = json.loads((tmp_path / "r.json").read_text())["folders"]
    assert (folder["compared"], folder["remaining"], folder["complete"]) == (1, 2, False)
    assert folder["metrics"]["interrupted"]["mean"] is None


SLOW = """
import attrs, time, cachekit, cachekit_eval
@attrs.define
class Slow(cachekit_eval.Metric):
    label, protocol = "SLOW", "slow"
    def compare(self, gt, gen):
        time.sleep(0.3)
        return [1.0] * len(gt)
@cachekit.hookimpl
def cachekit_metrics(register):
    register("slow", Slow)
"""


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGKILL])
def test_the_command_goes_on_after_a_stop_and_says_that_it_can(folders, tmp_path, sign):
    (tmp_path / "slow_metric.py").write_text(SLOW)
    command = [
        sys.executable,
        "-c",
        "from cachekit.cli import main; main()",
        "eval",
        "--gt",
        folders[0],
        "--gen",
        folders[1],
        "--metrics",
        "slow",
    ]
    command = [*map(str, command), "--plugin", "slow_metric", "--json", str(tmp_path / "r.json")]
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, env=environment
    ) as process:
        assert "[1/3] compared" in process.stderr.readline()
        time.sleep(0.2)
        process.send_signal(sign)
        said = process.stderr.read()
    if sign == signal.SIGINT:
        assert process.returncode == 130
        assert "run the same command again to go on" in said
    finished = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert finished.returncode == 0, finished.stderr
    assert "[1/3] kept:" in finished.stderr
    assert "[3/3] compared:" in finished.stderr
    assert json.loads((tmp_path / "r.json").read_text())["folders"][0]["complete"]


@pytest.mark.parametrize("option", ["--json", "--csv", "--plot"])
@pytest.mark.parametrize("target", ["gt/a.mkv", "gen/manifest.jsonl", "link.html", "weights.pth"])
def test_an_output_is_never_an_input(folders, cachekit, tmp_path, option, target):
    (folders[1] / "manifest.jsonl").write_text("{}")
    (tmp_path / "weights.pth").write_bytes(b"weights")
    (tmp_path / "link.html").symlink_to(folders[0] / "b.mkv")
    before = {path: path.read_bytes() for folder in folders for path in folder.iterdir()}
    arguments = ("eval", "--gt", folders[0], "--gen", folders[1], "--metrics", "psnr,lpips")
    status, _, err = cachekit(*arguments, "--lpips-weights", tmp_path / "weights.pth", option, tmp_path / target)
    assert status == 2
    assert re.search("is one of the files to be compared|would write onto", err)
    assert {path: path.read_bytes() for folder in folders for path in folder.iterdir()} == before


def test_an_output_onto_a_frame_is_refused(tmp_path, write_frames, clip, cachekit):
    for side in ("gt", "gen"):
        write_frames(tmp_path / side / "a", clip(2))
    arguments = ("eval", "--gt", tmp_path / "gt", "--gen", tmp_path / "gen", "--metrics", "psnr")
    status, _, err = cachekit(*arguments, "--json", tmp_path / "gen" / "a" / "frame1.png")
    assert (status, "is one of the files to be compared" in err) == (2, True)


def test_two_outputs_are_two_files(folders, cachekit, tmp_path):
    arguments = ("eval", "--gt", folders[0], "--gen", folders[1], "--metrics", "psnr")
    status, _, err = cachekit(*arguments, "--json", tmp_path / "r", "--csv", tmp_path / "sub" / ".." / "r")
    assert status == 2
    status, _, err = cachekit(*arguments, "--json", tmp_path / "r", "--csv", tmp_path / "r")
    assert (status, "name two" in err) == (2, True)


def test_an_output_that_fails_leaves_what_was_there(folders, tmp_path, monkeypatch):
    from cachekit_eval.files import written_aside

    target = tmp_path / "r.csv"
    target.write_text("the last result")
    with pytest.raises(OSError, match="full"), written_aside(target) as aside:
        aside.write_text("half")
        raise OSError("the disk is full")
    assert target.read_text() == "the last result"
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["r.csv"]


def test_an_output_through_a_link_keeps_the_link(folders, cachekit, tmp_path):
    (tmp_path / "real.json").write_text("old")
    (tmp_path / "link.json").symlink_to(tmp_path / "real.json")
    arguments = ("eval", "--gt", folders[0], "--gen", folders[1], "--metrics", "psnr")
    assert cachekit(*arguments, "--json", tmp_path / "link.json")[0] == 0
    assert (tmp_path / "link.json").is_symlink()
    assert json.loads((tmp_path / "real.json").read_text())["folders"]


def test_a_device_is_written_to_as_it_is(folders, cachekit):
    arguments = ("eval", "--gt", folders[0], "--gen", folders[1], "--metrics", "psnr")
    assert cachekit(*arguments, "--json", "/dev/null")[0] == 0
    assert not Path("/dev/null").is_file()
