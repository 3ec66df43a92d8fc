"""`run` in shares: into one folder, or into several that `gather` joins."""

import json
import os
import subprocess
import sys

import pytest
from tiny_model import CIRCLE, SQUARE

PROMPTS = (CIRCLE, SQUARE, "a blue triangle moves up over the sea")


def made(folder):
    """Every video's bytes, and every manifest line without what is a machine's own: seconds, host, machine."""
    lines = [json.loads(line) for path in sorted(folder.glob("manifest*.jsonl")) for line in path.open()]
    for line in lines:
        assert all(line.pop(key) for key in ("seconds", "host", "machine"))
    return {path.name: path.read_bytes() for path in folder.glob("*.mp4")}, lines


@pytest.fixture
def run(cachekit, weights):
    """Runs the three prompts with two seeds each into a folder."""

    def run(out, *options, strategy="uniform", computed=2):
        asked = [word for prompt in PROMPTS for word in ("--prompt", prompt)]
        how = ("--strategy", strategy, "--set", f"computed={computed}", "--steps", 3, "--videos-per-prompt", 2)
        return cachekit("run", "--weights", weights, *asked, *how, "--out", out, *options)

    return run


@pytest.fixture
def whole(run, tmp_path):
    assert run(tmp_path / "whole")[0] == 0
    return made(tmp_path / "whole")


def by_file(lines):
    return {line["file"]: line for line in lines}


def test_shares_of_one_folder_make_what_one_process_makes(run, whole, tmp_path):
    for number in (2, 1, 3):
        assert run(tmp_path / "out", "--shard", f"{number}/3")[0] == 0
    videos, lines = made(tmp_path / "out")
    assert videos == whole[0]
    assert by_file(lines) == by_file(whole[1])
    assert len(lines) == 6
    names = sorted(path.name for path in (tmp_path / "out").glob("manifest*"))
    assert names == [f"manifest-{number}-of-3.jsonl" for number in (1, 2, 3)]


def test_gathered_folders_are_one_process_s_folder_manifest_and_all(run, cachekit, whole, tmp_path):
    folders = [tmp_path / f"machine-{number}" for number in (1, 2)]
    for number, folder in enumerate(folders, start=1):
        run(folder, "--shard", f"{number}/2")
    status, out, _ = cachekit("gather", *folders, "--out", tmp_path / "joined")
    assert status == 0
    assert "6 videos, 6 of them new" in out
    assert made(tmp_path / "joined") == whole
    _, again, _ = cachekit("gather", *folders, "--out", tmp_path / "joined")
    assert "6 videos, 0 of them new" in again
    next((tmp_path / "joined").glob("*.mp4")).unlink()
    _, mended, _ = cachekit("gather", *folders, "--out", tmp_path / "joined")
    assert "6 videos, 1 of them new" in mended
    assert made(tmp_path / "joined")[0] == whole[0]
    _, _, errors = run(tmp_path / "joined")
    assert errors.count("there already") == 6


def test_another_number_of_shares_goes_on_with_what_is_there(run, whole, tmp_path):
    run(tmp_path / "out", "--shard", "1/3")
    before = (tmp_path / "out" / "manifest-1-of-3.jsonl").read_bytes()
    there = 0
    for number in (1, 2):
        status, _, errors = run(tmp_path / "out", "--shard", f"{number}/2")
        assert status == 0
        there += errors.count("there already")
    assert there == 2
    assert made(tmp_path / "out")[0] == whole[0]
    assert (tmp_path / "out" / "manifest-1-of-3.jsonl").read_bytes() == before


def test_a_launcher_s_variables_choose_the_share_and_a_line_says_so(run, tmp_path, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "3")
    status, _, errors = run(tmp_path / "out")
    assert status == 0
    assert "share 2 of 3, by RANK 1 of WORLD_SIZE 3; --shard 1/1 would do everything here" in errors
    assert (tmp_path / "out" / "manifest-2-of-3.jsonl").exists()
    _, _, errors = run(tmp_path / "all", "--shard", "1/1")
    assert "[6/6]" in errors
    assert (tmp_path / "all" / "manifest.jsonl").exists()


def test_a_share_owned_by_a_living_process_is_refused_and_named(run, tmp_path):
    hold = (
        "import sys, pathlib; from cachekit.generation.claims import claim\n"
        "held = claim(pathlib.Path(sys.argv[1]), 'of other work'); print('held', flush=True); sys.stdin.read()"
    )
    (tmp_path / "out").mkdir()
    share = tmp_path / "out" / "manifest-1-of-2.jsonl"
    owner = subprocess.Popen(
        [sys.executable, "-c", hold, share], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert owner.stdout.readline() == "held\n"
    status, _, errors = run(tmp_path / "out", "--shard", "1/2")
    assert status == 2
    assert f"process {owner.pid} on {os.uname().nodename} is at work in the folder" in errors
    status, _, errors = run(tmp_path / "out", "--shard", "2/2")
    assert status == 2
    assert f"process {owner.pid} on {os.uname().nodename} is at work in the folder" in errors
    assert "with other settings (manifest-1-of-2.jsonl)" in errors
    owner.kill()
    owner.communicate()
    assert run(tmp_path / "out", "--shard", "1/2")[0] == 0


def test_a_line_that_another_share_is_writing_is_left_alone(run, tmp_path):
    out = tmp_path / "out"
    run(out, "--shard", "1/2")
    with (out / "manifest-1-of-2.jsonl").open("a") as file:
        file.write('{"file": "half')
    before = (out / "manifest-1-of-2.jsonl").read_bytes()
    assert run(out, "--shard", "2/2")[0] == 0
    assert (out / "manifest-1-of-2.jsonl").read_bytes() == before
    assert run(out, "--shard", "1/2")[0] == 0
    assert len((out / "manifest-1-of-2.jsonl").read_text().splitlines()) == 3


@pytest.mark.parametrize("shard", ["0/2", "3/2", "1/0", "two"])
def test_what_is_no_share_is_refused_before_anything_is_made(run, tmp_path, shard):
    status, _, errors = run(tmp_path / "out", "--shard", shard)
    assert status == 2
    assert "--shard" in errors
    assert not (tmp_path / "out").exists()


def test_a_share_does_not_overwrite_the_others(run, tmp_path):
    run(tmp_path / "out", "--shard", "1/2")
    status, _, errors = run(tmp_path / "out", "--shard", "1/2", "--overwrite")
    assert status == 2
    assert "would clear the other shares' videos away" in errors
    assert len(list((tmp_path / "out").glob("*.mp4"))) == 3


def test_folders_of_other_settings_are_not_gathered(run, cachekit, tmp_path):
    run(tmp_path / "a", "--shard", "1/2")
    run(tmp_path / "b", "--shard", "2/2", computed=1)
    status, _, errors = cachekit("gather", tmp_path / "a", tmp_path / "b", "--out", tmp_path / "c")
    assert status == 2
    assert "can't be gathered: one was made with params computed 1, not 2" in errors
    assert not (tmp_path / "c").exists()


def test_gathering_a_folder_that_is_none_is_refused(cachekit, tmp_path):
    (tmp_path / "empty").mkdir()
    for name, reason in (("empty", "has no manifest.jsonl"), ("nowhere", "is no folder")):
        status, _, errors = cachekit("gather", tmp_path / name, "--out", tmp_path / "c")
        assert status == 2
        assert reason in errors


def test_a_video_that_is_lost_or_damaged_is_named_and_not_copied(run, cachekit, tmp_path):
    run(tmp_path / "a")
    lost, damaged, *_ = sorted((tmp_path / "a").glob("*.mp4"))
    lost.unlink()
    damaged.write_bytes(b"no video")
    status, out, errors = cachekit("gather", tmp_path / "a", "--out", tmp_path / "c")
    assert status == 1
    assert "4 videos" in out
    for video in (lost, damaged):
        assert f"{str(video)!r} is in its manifest but not there whole; run its share again" in errors
        assert not (tmp_path / "c" / video.name).exists()
