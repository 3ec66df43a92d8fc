"""`eval` in shares and over a cluster: what comes of it is one process's evaluation."""

import csv
import json

import pytest
import torch

from cachekit.generation.video import write_video


@pytest.fixture
def folders(tmp_path):
    """Five videos, and the same with a little noise; the fourth of them has a frame too few."""
    generator = torch.Generator().manual_seed(0)
    for folder in ("gt", "gen"):
        (tmp_path / folder).mkdir()
    for number in range(5):
        frames = torch.randint(40, 200, (5, 24, 24, 3), generator=generator, dtype=torch.uint8)
        noise = torch.randint(0, 9, frames.shape, generator=generator, dtype=torch.uint8)
        write_video(tmp_path / "gt" / f"video-{number}.mkv", frames, 8.0)
        write_video(tmp_path / "gen" / f"video-{number}.mkv", (frames + noise)[: 4 if number == 3 else 5], 8.0)
    return "eval", "--gt", tmp_path / "gt", "--gen", tmp_path / "gen", "--metrics", "psnr,ssim"


def content(file):
    return json.loads(file.read_text())


def test_the_last_share_of_an_evaluation_writes_what_one_process_writes(cachekit, folders, tmp_path):
    whole, shared = tmp_path / "whole.json", tmp_path / "shared.json"
    assert cachekit(*folders, "--json", whole)[0] == 1
    for number in (2, 3, 1):
        status, out, errors = cachekit(
            *folders, "--json", shared, "--csv", tmp_path / "shared.csv", "--shard", f"{number}/3"
        )
        assert status == int(number == 1), errors
        assert shared.exists() == (number == 1)
        assert ("are to come" in out) == (number != 1)
    assert content(shared) == content(whole)
    assert len(list(csv.DictReader((tmp_path / "shared.csv").open()))) == 5
    assert len(content(tmp_path / "shared-2-of-3.json")["folders"][0]["videos"]) == 2


def test_an_evaluation_goes_on_with_what_any_number_of_shares_has_compared(cachekit, folders, tmp_path):
    file = tmp_path / "shared.json"
    cachekit(*folders, "--json", file, "--shard", "1/3")
    _, _, errors = cachekit(*folders, "--json", file)
    assert errors.count("kept: ") == 1
    assert content(file)["folders"][0]["compared"] == 4


def test_a_share_of_an_evaluation_needs_a_file_to_be_kept_in(cachekit, folders):
    status, _, errors = cachekit(*folders, "--shard", "1/2")
    assert status == 2
    assert "name one with --json FILE" in errors


def test_a_folder_that_shares_filled_is_read_by_all_their_manifests(cachekit, weights, tmp_path):
    run = ("run", "--weights", weights, "--steps", 2, "--prompt", "a red circle", "--prompt", "a blue square")
    for number in (1, 2):
        cachekit(*run, "--strategy", "none", "--out", tmp_path / "gt", "--shard", f"{number}/2")
    cachekit(*run, "--strategy", "uniform", "--set", "computed=1", "--out", tmp_path / "gen")
    evaluate = ("eval", "--gt", tmp_path / "gt", "--gen", tmp_path / "gen", "--metrics", "psnr")
    status, _, errors = cachekit(*evaluate, "--json", tmp_path / "result.json")
    assert status == 0, errors
    (folder,) = content(tmp_path / "result.json")["folders"]
    assert folder["speedup"] is not None
    assert folder["notes"] == []


@pytest.mark.usefixtures("ray_here")
def test_a_dealt_evaluation_is_one_process_s(cachekit, folders, tmp_path):
    whole, dealt = tmp_path / "whole.json", tmp_path / "dealt.json"
    cachekit(*folders, "--json", whole)
    status, _, errors = cachekit(*folders, "--json", dealt, "--ray", "auto", "--workers", 2)
    assert status == 1, errors
    assert content(dealt) == content(whole)
