"""A folder that can't be written to is one sentence of every command, before any work and with nothing left behind."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

QUICK = ("--steps", 2, "--prompt", "a red circle")
COMMANDS = {
    "run --out": ("run", *QUICK, "--strategy", "none", "--out", "{}"),
    "run --out of a new folder": ("run", *QUICK, "--strategy", "none", "--out", "{}/new"),
    "run --json": ("run", *QUICK, "--strategy", "none", "--out", "made", "--json", "{}/a.json"),
    "plan --json": ("plan", "uniform", "--json", "{}/a.json"),
    "compare --report": ("compare", *QUICK, "--strategy", "none", "--report", "{}"),
    "calibrate --out": ("calibrate", "magcache", *QUICK, "--out", "{}/a.json"),
    "tune --folder": ("tune", "uniform", *QUICK, "--min-psnr", 9, "--search", "computed=1,2", "--folder", "{}"),
    "eval --json": ("eval", "--gt", "gt", "--gen", "gen", "--json", "{}/a.json"),
    "eval --csv": ("eval", "--gt", "gt", "--gen", "gen", "--csv", "{}/a.csv"),
    "eval --plot": ("eval", "--gt", "gt", "--gen", "gen", "--plot", "{}/a.html"),
    "eval --side-by-side": ("eval", "--gt", "gt", "--gen", "gen", "--side-by-side", "{}"),
    "gather --out": ("gather", "gt", "--out", "{}/a"),
    "bench --json": ("bench", "--loops", 0, "--json", "{}/a.json"),
    "strategies --json": ("strategies", "--json", "{}/a.json"),
}


@pytest.fixture
def closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder without the right to write, beside two of frames."""
    monkeypatch.chdir(tmp_path)
    for side in ("gt", "gen"):
        (tmp_path / side / "a").mkdir(parents=True)
        Image.fromarray(np.full((16, 16, 3), 9, np.uint8)).save(tmp_path / side / "a" / "0.png")
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o555)
    if os.access(folder, os.W_OK):
        pytest.skip("this user writes whatever the permissions are")
    yield folder
    folder.chmod(0o755)


@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)
def test_a_folder_that_can_not_be_written_to_is_one_sentence(cachekit_command, closed, words):
    before = sorted(Path().rglob("*"))
    result = cachekit_command(*(str(word).replace("{}", "closed") for word in words))
    assert result.status == 2
    (sentence,) = result.err.strip().splitlines()
    assert "closed" in sentence or "gt" in sentence
    assert sorted(Path().rglob("*")) == before


def test_the_videos_of_a_run_are_no_place_for_others(cachekit_command, tmp_path):
    for side in ("gt", "gen", "run"):
        (tmp_path / side / "a").mkdir(parents=True)
        Image.fromarray(np.full((16, 16, 3), 9, np.uint8)).save(tmp_path / side / "a" / "0.png")
    (tmp_path / "run" / "manifest.jsonl").write_text("")
    given = ("--gt", tmp_path / "gt", "--gen", tmp_path / "gen", "--metrics", "psnr")
    result = cachekit_command("eval", *given, "--side-by-side", tmp_path / "run")
    assert result.status == 2
    assert "name another for --side-by-side" in result.err
