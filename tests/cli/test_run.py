"""`cachekit run`: what it writes, and what may come between."""

import hashlib
import json
import re
import signal
import time

import av
import pytest


def manifest(folder):
    return [json.loads(line) for line in (folder / "manifest.jsonl").read_text().splitlines()]


def frames(path):
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24").tobytes() for frame in container.decode(video=0)]


def test_writes_a_video_and_a_manifest_line_that_tells_all(cachekit_command, tmp_path, quick):
    result = cachekit_command("run", *quick, "--set", "thresh=0.5", "--predictor", "taylor", "--out", tmp_path)
    assert result.status == 0
    (line,) = manifest(tmp_path)
    video = tmp_path / line["file"]
    assert len(frames(video)) == 17
    assert hashlib.sha256(video.read_bytes()).hexdigest() == line["sha256"]
    assert line["prompt"] == quick[1]
    facts = {key: line[key] for key in ("seed", "model", "strategy", "predictor", "steps")}
    assert facts == {
        "seed": 0,
        "model": "opensora-mini",
        "strategy": "magcache",
        "predictor": "taylor:order=1",
        "steps": 4,
    }
    assert line["params"]["thresh"] == 0.5
    assert len(line["params"]["ratios"]) == 29
    assert line["pattern"][0] == "X"
    assert len(line["pattern"]) == 4
    assert set(line["seconds"]) == {"text", "denoising", "decoding"}
    assert line["pattern"] in result.out


def test_a_folder_of_each_strategy_pairs_up_by_file_name(cachekit_command, tmp_path, quick):
    cachekit_command("run", *quick, "--strategy", "none", "--out", tmp_path / "gt")
    cachekit_command("run", *quick, "--strategy", "teacache", "--out", tmp_path / "out")
    names = [sorted(path.name for path in (tmp_path / folder).glob("*.mp4")) for folder in ("gt", "out")]
    assert names[0] == names[1] != []
    assert manifest(tmp_path / "gt")[0]["predictor"] is None


def test_the_same_settings_give_the_same_file(cachekit_command, tmp_path, quick):
    for folder in ("a", "b"):
        cachekit_command("run", *quick, "--out", tmp_path / folder)
    assert manifest(tmp_path / "a")[0]["sha256"] == manifest(tmp_path / "b")[0]["sha256"]


def test_seeds_count_up_and_repeated_prompts_keep_separate_names(cachekit_command, tmp_path, quick):
    result = cachekit_command(
        "run", *quick, "--prompt", quick[1], "--videos-per-prompt", 2, "--seed", 5, "--out", tmp_path, "--json", "-"
    )
    videos = json.loads(result.out)["videos"]
    assert [video["seed"] for video in videos] == [5, 6, 5, 6]
    assert len({video["file"] for video in videos}) == 4


def test_json_on_standard_output_stands_alone(cachekit_command, tmp_path, quick):
    result = cachekit_command("run", *quick, "--out", tmp_path, "--json", "-")
    content = json.loads(result.out)
    assert content["setting"]["strategy"] == "magcache"
    assert content["videos"][0]["pattern"] == manifest(tmp_path)[0]["pattern"]
    assert content["failures"] == []


def test_mkv_is_written_too(cachekit_command, tmp_path, quick):
    cachekit_command("run", *quick, "--format", "mkv", "--out", tmp_path)
    assert len(frames(tmp_path / manifest(tmp_path)[0]["file"])) == 17


def test_what_is_there_is_not_made_again(cachekit_command, tmp_path, quick):
    cachekit_command("run", *quick, "--out", tmp_path)
    (video,) = tmp_path.glob("*.mp4")
    made = video.stat().st_mtime_ns
    result = cachekit_command("run", *quick, "--out", tmp_path)
    assert "there already" in result.err
    assert video.stat().st_mtime_ns == made
    assert len(manifest(tmp_path)) == 1


def test_a_video_that_was_damaged_is_made_again(cachekit_command, tmp_path, quick):
    cachekit_command("run", *quick, "--out", tmp_path)
    (video,) = tmp_path.glob("*.mp4")
    whole = video.read_bytes()
    video.write_bytes(whole[:100])
    cachekit_command("run", *quick, "--out", tmp_path)
    assert video.read_bytes() == whole


@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGINT])
def test_a_stopped_run_leaves_whole_videos_and_goes_on(start_command, cachekit_command, tmp_path, stop):
    options = ["run", "--steps", "6", "--out"]
    process = start_command(*options, tmp_path / "stopped")
    deadline = time.monotonic() + 120
    while not (tmp_path / "stopped" / "manifest.jsonl").exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(stop)
    _, err = process.communicate()
    assert "Traceback" not in err
    recorded = manifest(tmp_path / "stopped")
    assert 1 <= len(recorded) <= 4
    for line in recorded:
        assert len(frames(tmp_path / "stopped" / line["file"])) == 17
    assert cachekit_command(*options, tmp_path / "stopped").status == 0
    assert cachekit_command(*options, tmp_path / "whole").status == 0
    digests = [{line["file"]: line["sha256"] for line in manifest(tmp_path / name)} for name in ("stopped", "whole")]
    assert digests[0] == digests[1]
    assert not list((tmp_path / "stopped").glob(".*.partial"))


def test_a_line_cut_off_by_a_kill_is_dropped(cachekit_command, tmp_path, quick):
    cachekit_command("run", *quick, "--out", tmp_path)
    path = tmp_path / "manifest.jsonl"
    path.write_text(path.read_text() + '{"file": "half')
    assert cachekit_command("run", *quick, "--out", tmp_path).status == 0
    assert len(manifest(tmp_path)) == 1


def test_a_folder_of_other_settings_is_refused_and_kept(cachekit_command, tmp_path, quick):
    cachekit_command("run", *quick, "--out", tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    result = cachekit_command("run", *quick, "--set", "K=2", "--out", tmp_path)
    assert result.status == 2
    assert "was made with params K 3, not 2" in result.err
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_folder_of_another_version_is_refused_in_a_line(cachekit_command, tmp_path, quick):
    cachekit_command("run", *quick, "--out", tmp_path)
    (line,) = manifest(tmp_path)
    line["params"] = {"thresh": 0.12, "K": 3, "coherence": [[0.5] * 30] * 30, "ratios": line["params"]["ratios"]}
    (tmp_path / "manifest.jsonl").write_text(json.dumps(line) + "\n")
    refused = cachekit_command("run", *quick, "--out", tmp_path)
    assert "was made with params coherence [[0.5, 0.5" in refused.err
    assert ", not unset; choose another --out" in refused.err
    assert len(refused.err) < 400


def test_a_measured_matrix_is_recorded_by_its_digest(cachekit_command, tmp_path, quick):
    options = ["run", "--strategy", "gramcache", *quick, "--out", tmp_path]
    assert cachekit_command(*options, "--set", "computed=3").status == 0
    params = manifest(tmp_path)[0]["params"]
    assert re.fullmatch(r"sha256:[0-9a-f]{16}", params["gram"])
    assert len(params["scales"]) == len(params["timesteps"]) == 30
    assert cachekit_command(*options, "--set", "computed=3").status == 0
    refused = cachekit_command(*options, "--set", "computed=4")
    assert "was made with params computed 3, not 4" in refused.err
    assert len(refused.err) < 400


def test_overwrite_makes_the_folder_anew_and_leaves_strangers_alone(cachekit_command, tmp_path, quick):
    cachekit_command("run", *quick, "--out", tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    assert cachekit_command("run", *quick, "--set", "K=2", "--overwrite", "--out", tmp_path).status == 0
    assert manifest(tmp_path)[0]["params"]["K"] == 2
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_strategy_that_fails_in_the_middle_is_named_and_the_status_is_1(
    cachekit_command, tmp_path, quick, monkeypatch
):
    (tmp_path / "breaks_at_two.py").write_text(
        "import attrs, cachekit\n"
        "@attrs.define\n"
        "class Breaks(cachekit.Strategy):\n"
        "    '''Breaks at step 2.'''\n"
        "    def should_compute(self, step):\n"
        "        return 1 // (2 - step.index) >= 0\n"
        "@cachekit.hookimpl\n"
        "def cachekit_strategies(register):\n"
        "    register('breaks', Breaks)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    result = cachekit_command(
        "run", *quick, "--plugin", "breaks_at_two", "--strategy", "breaks", "--out", tmp_path / "out"
    )
    assert result.status == 1
    assert "failed: ZeroDivisionError" in result.err
    assert not list((tmp_path / "out").glob("*.mp4"))


def test_a_word_never_seen_is_named_in_a_warning(cachekit_command, tmp_path):
    result = cachekit_command("run", "--prompt", "a crimson circle moves left", "--steps", 2, "--out", tmp_path)
    assert result.status == 0
    assert "has never seen 'crimson'" in result.err
