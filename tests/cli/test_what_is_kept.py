"""Nothing of the user's is destroyed: what is there stays, whole, until the new is known to be good."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_model import CIRCLE, SQUARE

from cachekit.opensora.mini.config import read_config

QUICK = ("--steps", 3, "--prompt", CIRCLE, "--strategy", "none")


def tree(folder):
    """Every file with its content."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def lines(folder):
    return [json.loads(line) for line in (folder / "manifest.jsonl").read_text().splitlines()]


@pytest.fixture
def made(cachekit, weights, tmp_path):
    """A folder with one video."""
    status, _, errors = cachekit("run", "--weights", weights, *QUICK, "--out", tmp_path / "out")
    assert status == 0, errors
    return tmp_path / "out"


@pytest.fixture
def broken_weights(weights, tmp_path):
    """The tiny model's weights with NaN in the transformer's last layer."""
    tensors = load_file(weights)
    name = "transformer.final_layer.linear.weight"
    tensors[name] = torch.full_like(tensors[name], torch.nan)
    path = tmp_path / "nan.safetensors"
    save_file(tensors, path, metadata={"config": json.dumps(read_config(weights))})
    return path


@pytest.mark.parametrize(
    "file",
    ["../victim.mp4", "{absolute}", "..", "victim", "sub/victim.mp4", ".hidden.mp4", "a\\..\\victim.mp4", "", "x.txt"],
)
def test_overwrite_removes_no_file_that_is_no_video_of_the_folder(cachekit, weights, made, file):
    victim = made.parent / "victim.mp4"
    victim.write_text("somebody's")
    (line,) = lines(made)
    line["file"] = file.format(absolute=victim)
    (made / "manifest.jsonl").write_text(json.dumps(line) + "\n")
    before = tree(made.parent)
    status, _, errors = cachekit("run", "--weights", weights, *QUICK, "--out", made, "--overwrite")
    assert (status, "line 1 of" in errors, "is damaged" in errors) == (2, True, True), errors
    assert tree(made.parent) == before


@pytest.mark.parametrize(
    "wrong",
    [
        ("--prompt", "ein Kreis"),
        ("--weights", "damaged"),
        ("--profile", "nowhere.json"),
        ("--prompts", "nowhere.txt"),
        ("--json", "nowhere/r.json"),
        ("--strategy", "magcash"),
        ("--guidance-scale", "nan"),
        ("--predictor", "taylor"),
        ("--config", "nowhere.toml"),
    ],
)
def test_overwrite_removes_nothing_before_the_request_is_known_to_be_good(
    cachekit, weights, made, tmp_path, monkeypatch, wrong
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "damaged").write_bytes(weights.read_bytes()[:-100])
    before = tree(tmp_path)
    options = {"--weights": weights, "--out": made, wrong[0]: wrong[1]}
    words = [word for option in options.items() for word in option]
    status, _, _ = cachekit("run", *QUICK, "--overwrite", *words)
    assert status == 2
    assert tree(tmp_path) == before


@pytest.mark.parametrize("wrong", [("--prompt", "ein Kreis"), ("--weights", "nowhere"), ("--strategy", "x")])
@pytest.mark.parametrize("command", ["run", "compare"])
def test_nothing_is_made_before_the_request_is_known_to_be_good(
    cachekit, weights, tmp_path, monkeypatch, command, wrong
):
    monkeypatch.chdir(tmp_path)
    where = {"run": "--out", "compare": "--report"}[command]
    options = {"--weights": weights, "--steps": 3, where: "made", wrong[0]: wrong[1]}
    status, _, _ = cachekit(command, *[word for option in options.items() for word in option])
    assert status == 2
    assert not list(tmp_path.iterdir())


def test_weights_that_hold_nan_are_a_failure_that_says_where_it_began(cachekit, broken_weights, tmp_path):
    status, _, errors = cachekit(
        "run", "--weights", broken_weights, *QUICK, "--strategy", "none", "--out", tmp_path / "o"
    )
    assert status == 1
    assert "the latents are not finite from step 0 of 3 on" in errors
    assert not list((tmp_path / "o").glob("*.mp4"))
    assert not (tmp_path / "o" / "manifest.jsonl").exists()


NAN_PREDICTOR = """
import attrs, cachekit
@attrs.define
class Poison(cachekit.Predictor):
    kept: object = attrs.field(default=None, init=False)
    def update(self, step, residual):
        self.kept = residual
    def predict(self, step):
        return self.kept * float("nan")
@attrs.define
class Second(cachekit.Strategy):
    def plan(self, run):
        return "XX." + "X" * (run.steps - 3)
@cachekit.hookimpl
def cachekit_predictors(register):
    register("poison", Poison)
@cachekit.hookimpl
def cachekit_strategies(register):
    register("second", Second)
"""


def test_a_predictor_that_makes_nan_is_a_failure_that_says_where_it_began(cachekit, weights, tmp_path, monkeypatch):
    (tmp_path / "poisonous.py").write_text(NAN_PREDICTOR)
    monkeypatch.syspath_prepend(tmp_path)
    words = ("--plugin", "poisonous", "--strategy", "second", "--predictor", "poison", "--steps", 6, "--prompt", CIRCLE)
    status, _, errors = cachekit("run", "--weights", weights, *words, "--out", tmp_path / "o")
    assert (status, "not finite from step 2 of 6 on" in errors) == (1, True), errors


@pytest.mark.parametrize(
    "options",
    [
        ("run", "--guidance-scale", "inf"),
        ("run", "--guidance-scale", "NaN"),
        ("run", "--strategy", "fixed", "--set", "pattern=X", "--guidance-scale", "1e999"),
        ("tune", "uniform", "--min-psnr", "nan"),
        ("tune", "uniform", "--min-speedup", "inf"),
        ("compare", "--guidance-scale", "-inf"),
        ("calibrate", "magcache", "--guidance-scale", "nan", "--out", "p.json"),
    ],
)
def test_options_that_are_no_finite_number_are_refused(cachekit, tmp_path, monkeypatch, options):
    monkeypatch.chdir(tmp_path)
    status, _, errors = cachekit(*options)
    assert (status, "is no finite number" in errors) == (2, True), errors


def test_a_second_run_in_a_folder_is_refused_while_the_first_is_at_work(start_command, cachekit, weights, tmp_path):
    words = ("--weights", weights, *QUICK, "--videos-per-prompt", 200, "--out", tmp_path / "o")
    first = start_command("run", *words)
    assert first.stderr is not None
    assert first.stderr.readline().startswith("[1/200]")
    status, _, errors = cachekit("run", *words, "--guidance-scale", 2)
    assert (status, "was made with guidance_scale 4.0, not 2.0" in errors) == (2, True), errors
    status, _, errors = cachekit("run", *words)
    assert (status, f"process {first.pid}" in errors, "is at work in the folder" in errors) == (2, True, True), errors
    first.kill()
    first.wait()
    assert {line["guidance_scale"] for line in lines(tmp_path / "o")} == {4.0}


@pytest.mark.parametrize(
    "words",
    [
        ("run", "--prompts", "p.txt", "--json", "p.txt"),
        ("run", "--prompts", "p.txt", "--json", "linked"),
        ("run", "--config", "c.toml", "--json", "c.toml"),
        ("run", "--profile", "profile.json", "--json", "./profile.json"),
        ("run", "--model", "opensora-mini:weights=w", "--json", "w"),
        ("run", "--out", "out", "--json", "out/manifest.jsonl"),
        ("run", "--out", "out", "--json", "out/some.mp4"),
        ("eval", "--gt", "out", "--gen", "out", "--json", "out/some.mp4"),
        ("eval", "--gt", "out", "--gen", "out", "--json", "r", "--csv", "r"),
        ("calibrate", "--merge", "profile.json", "p.txt", "--out", "profile.json"),
        ("calibrate", "magcache", "--out", "r.json", "--json", "r.json"),
        ("tune", "uniform", "--min-psnr", "1", "--check-prompts", "p.txt", "--out", "p.txt"),
        ("plan", "magcache", "--profile", "profile.json", "--json", "profile.json"),
    ],
)
def test_no_result_is_written_onto_an_input(cachekit, tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    for name in ("p.txt", "c.toml", "profile.json", "w"):
        (tmp_path / name).write_text("steps = 2\n" if name == "c.toml" else CIRCLE)
    (tmp_path / "linked").symlink_to("p.txt")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "some.mp4").write_text("a video")
    before = tree(tmp_path)
    status, _, errors = cachekit(*words)
    assert (status, "would write onto" in errors or "name the same file" in errors) == (2, True), errors
    assert tree(tmp_path) == before


def test_a_folder_where_a_video_belongs_is_named_and_the_others_go_on(cachekit, weights, tmp_path):
    words = ("run", "--weights", weights, *QUICK, "--prompt", SQUARE, "--out", tmp_path / "o")
    assert cachekit(*words)[0] == 0
    first, second = (line["file"] for line in lines(tmp_path / "o"))
    (tmp_path / "o" / "manifest.jsonl").unlink()
    for file in (first, second):
        (tmp_path / "o" / file).unlink()
    (tmp_path / "o" / first).mkdir()
    status, _, errors = cachekit(*words)
    assert (status, f"a folder stands where the video '{first}' belongs" in errors) == (1, True), errors
    assert [line["file"] for line in lines(tmp_path / "o")] == [second]


TAKEN_AWAY = """
import attrs, cachekit, shutil
@attrs.define
class Removes(cachekit.Strategy):
    folder: str = ""
    def plan(self, run):
        return "X" * run.steps
    def fit_predictor(self, run):
        return run.predictor
    def __deepcopy__(self, memo):
        shutil.rmtree(self.folder, ignore_errors=True)
        return self
@cachekit.hookimpl
def cachekit_strategies(register):
    register("removes", Removes)
"""


def test_a_folder_taken_away_stops_the_work_with_one_sentence(cachekit, weights, tmp_path, monkeypatch):
    (tmp_path / "taking.py").write_text(TAKEN_AWAY)
    monkeypatch.syspath_prepend(tmp_path)
    out = tmp_path / "o"
    words = ("--plugin", "taking", "--strategy", "removes", "--set", f"folder={out}", "--videos-per-prompt", 9)
    status, _, errors = cachekit("run", "--weights", weights, *QUICK, *words, "--out", out)
    assert status == 1
    (sentence,) = errors.strip().splitlines()
    assert "the video" in sentence
    assert "can't be written: No such file or directory; see to its folder" in sentence


def test_a_video_touched_since_or_of_another_size_is_made_anew_and_verify_looks_at_all(cachekit, weights, made):
    (line,) = lines(made)
    video = made / line["file"]
    whole, stat = video.read_bytes(), video.stat()
    words = ("run", "--weights", weights, *QUICK, "--out", made)
    video.write_bytes(b"\0" * len(whole))
    os.utime(video, ns=((made / "manifest.jsonl").stat().st_mtime_ns + 10**9,) * 2)
    assert cachekit(*words)[0] == 0
    assert video.read_bytes() == whole
    video.write_bytes(b"\0" * len(whole))
    os.utime(video, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert "there already" in cachekit(*words)[2]
    assert "there already" not in cachekit(*words, "--verify")[2]
    assert video.read_bytes() == whole


CLOSED = "import sys; from cachekit.cli import main; main(sys.argv[1:])"


@pytest.mark.parametrize("json_file", ["-", "r.json"])
def test_a_reader_that_leaves_ends_the_printing_and_not_the_work(tmp_path, json_file):
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-c", CLOSED, "plan", "magcache", "--json", json_file]
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, cwd=tmp_path, text=True, check=False)
    os.close(write)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "r.json").exists() == (json_file != "-")


@pytest.mark.parametrize(
    "words", [("plan", "magcache"), ("strategies", "--json", "-"), ("models", "--json", "/dev/full")]
)
def test_a_full_standard_output_is_one_sentence(tmp_path, words):
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-c", CLOSED, *words]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, cwd=tmp_path, text=True, check=False)
    assert done.returncode == 1
    (sentence,) = done.stderr.strip().splitlines()
    assert "No space left on device" in sentence
