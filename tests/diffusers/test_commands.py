"""The commands on a diffusers pipeline: videos or pictures, a profile, a report, resumable as ever."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cachekit_eval
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from tiny_model import run_command

from cachekit.diffusers.tiny import FAMILIES, main, tiny_pipeline

SIZES: dict[str, tuple[str, ...]] = {
    "wan": ("height=32", "width=32", "num_frames=5", "max_sequence_length=32"),
    "wan22": ("height=32", "width=32", "num_frames=5", "max_sequence_length=32"),
    "ltx": ("height=32", "width=32", "num_frames=9"),
    "flux": ("height=32", "width=32", "max_sequence_length=32"),
}
FOX, LIGHT = "a red fox", "a lighthouse"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny pipeline's folder of each family, made by the README's command."""
    made = tmp_path_factory.mktemp("tiny")
    for family in FAMILIES:
        result = CliRunner().invoke(main, [family, str(made / family)])
        assert result.exit_code == 0
        assert result.output == f"wrote a tiny {family} pipeline to {made / family}\n"
    return made


def model(folder: Path, family: str) -> list[str]:
    sized = [word for argument in SIZES[family] for word in ("--pipeline-arg", argument)]
    return ["--model", f"diffusers:path={folder / family}", *sized]


def succeed(*words: object) -> str:
    status, out, errors = run_command(*words)
    assert status == 0, errors
    assert "Warning" not in errors
    return out


def made(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "manifest.jsonl").read_text(encoding="utf-8").splitlines()]


UNIFORM = ("--strategy", "uniform", "--set", "computed=3")


@pytest.mark.parametrize("family", FAMILIES)
def test_run_makes_what_eval_reads(folder, family, tmp_path):
    asked = (*model(folder, family), "--prompt", FOX, "--prompt", LIGHT, "--steps", 6)
    succeed("run", *asked, "--strategy", "none", "--out", tmp_path / "gt")
    succeed("run", *asked, *UNIFORM, "--out", tmp_path / "out")
    for line in made(tmp_path / "out"):
        assert line["pattern"] == "X.X..X"
        assert all(line["seconds"][stage] > 0 for stage in ("text", "denoising", "decoding"))
        assert line["file"].endswith(".png" if family == "flux" else ".mp4")
    results = cachekit_eval.evaluate(tmp_path / "gt", tmp_path / "out", metrics=("psnr", "ssim"))
    assert len(results.videos) == 2
    assert all(10 < (video.values["psnr"] or 0) < 100 for video in results.videos)


def test_pictures_are_a_folder_each_in_the_size_asked_for(folder, tmp_path):
    succeed("run", *model(folder, "flux"), "--prompt", FOX, "--steps", 2, "--strategy", "none", "--out", tmp_path)
    (line,) = made(tmp_path)
    with Image.open(tmp_path / line["file"]) as picture:
        assert picture.size == (32, 32)


def test_a_run_goes_on_where_it_stopped_and_refuses_other_arguments(folder, tmp_path):
    asked = (*model(folder, "wan"), "--prompt", FOX, "--steps", 4, *UNIFORM, "--out", tmp_path)
    succeed("run", *asked)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.mp4")}
    (video,) = before
    succeed("run", *asked, "--prompt", LIGHT)
    assert video.stat().st_mtime_ns == before[video]
    assert len(list(tmp_path.glob("*.mp4"))) == 2
    status, _, errors = run_command("run", *asked, "--pipeline-arg", "negative_prompt=dull")
    assert status == 2
    assert "arguments" in errors


@pytest.mark.parametrize("family", ["wan", "wan22", "flux"])
def test_a_profile_is_calibrated_planned_with_and_run(folder, family, tmp_path):
    profile = tmp_path / "p.json"
    asked = (*model(folder, family), "--steps", 6)
    succeed("calibrate", "magcache", *asked, "--prompt", FOX, "--out", profile)
    with_it = ("--profile", profile, "--set", "thresh=0.5")
    planned = json.loads(succeed("plan", "magcache", *asked, *with_it, "--json", "-"))
    assert "." in planned["pattern"]
    succeed("run", *asked, "--prompt", FOX, "--strategy", "magcache", *with_it, "--out", tmp_path / "out")
    pattern = made(tmp_path / "out")[0]["pattern"]
    assert pattern == planned["pattern"] or (family == "wan22" and set(pattern) == set("X."))


@pytest.mark.parametrize("family", ["wan", "flux"])
def test_compare_sets_settings_beside_each_other(folder, family, tmp_path):
    asked = (*model(folder, family), "--steps", 3, "--prompt", FOX, "--metrics", "psnr", "--report", tmp_path)
    succeed("compare", *asked, "--strategy", "uniform:computed=2", "--predictor", "reuse,taylor")
    results = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    rows = {row["label"]: row for row in results["rows"]}
    assert rows["uniform computed=2 + reuse"]["computed"] == 2
    assert rows["uniform computed=2 + taylor"]["videos"][0]["quality"]["psnr"] > 10
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert all(video["file"] in page for video in rows["uncached"]["videos"] if family == "flux")


def test_tune_finds_a_setting(folder, tmp_path):
    (tmp_path / "check.txt").write_text(LIGHT)
    asked = (*model(folder, "flux"), "--steps", 6, "--prompt", FOX, "--check-prompts", tmp_path / "check.txt")
    search = ("--min-speedup", 1.2, "--search", "computed=2,3", "--trials", 2, "--folder", tmp_path / "work")
    found = json.loads(succeed("tune", "uniform", *asked, *search, "--json", "-"))
    assert json.dumps(found).count("computed") > 1


@pytest.mark.parametrize("family", ["wan22", "flux"])
def test_bench_times_a_pipeline_of_one_s_own(folder, family):
    asked = (*model(folder, family), "--steps", 4, "--loops", 1, "--rounds", 20, "--backend", "eager", "--threads", 1)
    found = json.loads(succeed("bench", *asked, "--json", "-"))
    assert found["loop"]["pattern"] == "X.X."
    assert found["steps"]["eager"]["milliseconds"]["skipped"] < found["steps"]["eager"]["milliseconds"]["computed"]
    held = {one["predictor"]: one["residuals"] for one in found["held"]}
    assert (held["reuse"], held["taylor"]) == (1, 2)


def test_a_tiny_pipeline_is_the_seed_s_and_the_folder_holds_it(folder):
    again, other = tiny_pipeline("wan"), tiny_pipeline("wan", seed=1)
    state = again.transformer.state_dict()
    loaded = type(again).from_pretrained(folder / "wan").transformer.state_dict()
    assert all(torch.equal(loaded[name], state[name]) for name in state)
    assert not all(torch.equal(other.transformer.state_dict()[name], state[name]) for name in state)


def refused(*words: object) -> str:
    status, out, errors = run_command(*words)
    assert status == 2
    (sentence,) = errors.strip().splitlines()
    assert "Traceback" not in out + errors
    return sentence


@pytest.mark.parametrize(
    ("argument", "sentence"),
    [
        ("hight=32", "did you mean 'height'"),
        ("height", "takes name=value, not 'height'"),
        ("height=tall", "the argument height of WanPipeline must be int, not 'tall'"),
        ("height=32.5", "the argument height of WanPipeline must be int, not '32.5'"),
        ("prompt=x", "say it with --prompt"),
        ("num_inference_steps=3", "say it with --steps"),
        ("guidance_scale=3", "say it with --guidance-scale"),
        ("num_videos_per_prompt=2", "say it with --videos-per-prompt"),
        ("output_type=latent", "can't be changed"),
    ],
)
def test_an_argument_that_can_not_be_is_one_sentence(folder, argument, sentence):
    asked = ("--model", f"diffusers:path={folder / 'wan'}", "--pipeline-arg", argument)
    assert sentence in refused("run", *asked, "--strategy", "none", "--out", folder / "never")
    assert sentence in refused("plan", "uniform", *asked)


def test_a_text_with_marks_reaches_the_pipeline(folder, tmp_path):
    asked = (*model(folder, "wan"), "--steps", 2, "--prompt", FOX, "--strategy", "none")
    files = []
    for name, words in {"plain": (), "marked": ("--pipeline-arg", "negative_prompt=ugly: 100%; a=b")}.items():
        succeed("run", *asked, *words, "--out", tmp_path / name)
        files.append(made(tmp_path / name)[0]["sha256"])
    assert files[0] != files[1]


def test_a_picture_is_given_by_its_file(folder, tmp_path):
    of_images = ["--model", f"diffusers:path={folder / 'flux'}:pipeline=FluxImg2ImgPipeline", "--steps", 6]
    sized = [f"--pipeline-arg={word}" for word in (*SIZES["flux"], "strength=0.7")]
    Image.new("RGB", (32, 32), (200, 20, 20)).save(tmp_path / "red.png")
    given = ("--pipeline-arg", f"image={tmp_path / 'red.png'}", "--prompt", FOX, *UNIFORM, "--out", tmp_path / "out")
    succeed("run", *of_images, *sized, *given)
    assert made(tmp_path / "out")[0]["pattern"] == "X.X.X"
    missing = ("--pipeline-arg", "image=nowhere.png", *UNIFORM, "--out", tmp_path / "never")
    assert "'nowhere.png' can't be read" in refused("run", *of_images, *sized, *missing)


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ("diffusers", "diffusers needs path; write diffusers:path=VALUE"),
        ("diffusers:path=/nowhere/at/all", "there is no folder '/nowhere/at/all'"),
        ("diffusers:path={}", "holds no model_index.json"),
        ("diffusers:path={}/wan:pipeline=Nothing", "no pipeline 'Nothing'"),
        ("diffusers:path={}/wan:pipeline=WanVideoToVideoPipeline:arguments=strenth=1", "did you mean 'strength'"),
        ("diffusers:path={}/wan:pipeline=WanImageToVideoPipeline", "needs image; give it with --pipeline-arg image="),
        ("diffusers:path={}/wan:pipeline=DiTPipeline", "takes no prompt"),
        ("opensora-mini:arguments=height=3", "--pipeline-arg is for diffusers pipelines"),
    ],
)
def test_a_model_that_can_not_be_is_one_sentence(folder, spec, sentence, tmp_path):
    asked = ("--model", spec.replace("{}", str(folder)))
    assert sentence in refused("run", *asked, "--strategy", "none", "--out", tmp_path / "never")


def test_a_strategy_without_a_profile_says_how_to_measure_one(folder, tmp_path):
    sentence = refused("run", *model(folder, "wan"), "--strategy", "magcache", "--out", tmp_path / "never")
    assert "cachekit calibrate magcache" in sentence


def test_a_profile_of_another_family_is_refused(folder, tmp_path):
    profile = tmp_path / "p.json"
    succeed("calibrate", "magcache", *model(folder, "wan"), "--steps", 3, "--prompt", FOX, "--out", profile)
    sentence = refused("plan", "magcache", *model(folder, "flux"), "--profile", profile)
    assert "not for FluxTransformer2DModel" in sentence


def test_a_failure_of_the_pipeline_is_named_for_each_video(folder, tmp_path):
    asked = ("--model", f"diffusers:path={folder / 'wan'}", "--pipeline-arg", "height=33", "--steps", 2)
    status, _, errors = run_command("run", *asked, "--prompt", FOX, "--strategy", "none", "--out", tmp_path)
    assert status == 1
    assert "divisible by 16" in errors
    sentence = refused("calibrate", "uniform", *asked, "--out", tmp_path / "p.json")
    assert "nothing" in sentence


def test_pipeline_arguments_without_a_model_are_refused_by_bench():
    status, _, errors = run_command("bench", "--pipeline-arg", "height=3")
    assert status == 2
    assert "--model diffusers:path=DIR" in errors
