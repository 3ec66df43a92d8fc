"""`cachekit run --names vbench`: VBench's own evaluator finds every video, and the run can still be gone on with."""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from tiny_model import CIRCLE, SQUARE, run_command

from cachekit import CachekitError
from cachekit.generation.vbench_folder import manifest_beside, vbench_requests

READ = """
import json, sys, types
sys.modules["decord"] = types.SimpleNamespace(VideoReader=None, cpu=None)  # decodes, which reading names does not
from vbench import VBench
info, videos, out = sys.argv[1:]
reader = VBench("cpu", info, out)
print(json.dumps(json.load(open(reader.build_full_info_json(videos, "ours", ["color"])))))
"""
"""VBench's own reading of a folder."""


@pytest.fixture
def run(weights, tmp_path):
    """Runs the tiny model into `samples`, two steps, uncached."""

    def make(*options):
        model = ("--weights", weights, "--steps", 2, "--strategy", "none", "--out", tmp_path / "samples")
        return run_command("run", *model, "--names", "vbench", *options)

    return make


@pytest.mark.skipif(find_spec("vbench") is None, reason="vbench is not installed: pip install --no-deps vbench")
def test_vbench_reads_the_folder_as_it_is(run, tmp_path):
    status, _, errors = run("--prompt", CIRCLE, "--prompt", SQUARE)
    assert status == 0, errors
    entries = [{"prompt_en": prompt, "dimension": ["color"]} for prompt in (CIRCLE, SQUARE)]
    (tmp_path / "info.json").write_text(json.dumps(entries))
    command = [sys.executable, "-c", READ, tmp_path / "info.json", tmp_path / "samples", tmp_path / "out"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = json.loads(said.splitlines()[-1])
    assert "not found" not in said
    assert [len(entry["video_list"]) for entry in found] == [5, 5]


def test_the_folder_holds_videos_alone_and_the_manifest_stands_beside(run, tmp_path):
    run("--prompt", CIRCLE, "--videos-per-prompt", 2, "--seed", 7)
    assert sorted(path.name for path in (tmp_path / "samples").iterdir()) == [f"{CIRCLE}-0.mp4", f"{CIRCLE}-1.mp4"]
    lines = (tmp_path / "samples.manifest.jsonl").read_text().splitlines()
    assert [(json.loads(line)["file"], json.loads(line)["seed"]) for line in lines] == [
        (f"{CIRCLE}-0.mp4", 7),
        (f"{CIRCLE}-1.mp4", 8),
    ]


def test_the_same_command_again_makes_nothing_anew(run, tmp_path):
    run("--prompt", CIRCLE, "--videos-per-prompt", 2)
    stamps = {path: path.stat().st_mtime_ns for path in (tmp_path / "samples").iterdir()}
    status, _, errors = run("--prompt", CIRCLE, "--videos-per-prompt", 3)
    assert status == 0
    assert errors.count("there already") == 2
    assert {path: path.stat().st_mtime_ns for path in stamps} == stamps


def test_a_run_that_was_killed_is_gone_on_with(run, tmp_path):
    run("--prompt", CIRCLE, "--videos-per-prompt", 2)
    (tmp_path / "samples.manifest.jsonl").rename(tmp_path / "samples" / "manifest.jsonl")  # where a kill leaves it
    assert run("--prompt", CIRCLE, "--videos-per-prompt", 2)[2].count("there already") == 2
    assert not (tmp_path / "samples" / "manifest.jsonl").exists()


def test_the_evaluator_reads_the_manifest_beside(run, tmp_path):
    run("--prompt", CIRCLE, "--videos-per-prompt", 2)
    samples = tmp_path / "samples"
    status, out, _ = run_command("eval", "--gt", samples, "--gen", samples, "--metrics", "psnr", "--json", "-")
    assert status == 0
    assert [video["prompt"] for video in json.loads(out)["folders"][0]["videos"]] == [CIRCLE, CIRCLE]


def test_a_prompt_that_stands_twice_is_made_once():
    assert [request.name for request in vbench_requests(["a", "b", "a"], 3, 2)] == ["a-0", "a-1", "b-0", "b-1"]
    assert [request.seed for request in vbench_requests(["a", "b"], 3, 2)] == [3, 4, 3, 4]


@pytest.mark.parametrize("prompt", ["a/b", "c:\\d", "two\nlines", ".hidden", "x" * 250, "語" * 90])
def test_a_prompt_that_can_not_be_a_files_name_is_refused(prompt):
    with pytest.raises(CachekitError, match="file's name"):
        vbench_requests([prompt], 0, 5)


def test_another_format_is_refused(run):
    status, _, errors = run("--prompt", CIRCLE, "--format", "mkv")
    assert (status, "VBench reads mp4" in errors) == (2, True)


@pytest.mark.skipif(find_spec("vbench") is None, reason="vbench is not installed: pip install --no-deps vbench")
def test_every_prompt_of_vbench_can_be_a_name():
    from cachekit.generation.prompts_vbench import vbench_prompts

    assert len(vbench_requests(vbench_prompts(), 0, 5)) == 944 * 5


def test_a_folder_named_through_a_link_or_a_dot_has_its_manifest_beside_the_folder_itself(tmp_path, monkeypatch):
    (tmp_path / "samples").mkdir()
    monkeypatch.chdir(tmp_path / "samples")

    assert manifest_beside(Path()) == tmp_path.resolve() / "samples.manifest.jsonl"
