"""The temporary folders of workers."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

import pytest

from cachekit.scaling.workplaces import NEW, PREFIX, take_away_leftovers, workplace


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def made_long_ago(folder: Path) -> Path:
    begun = time.time() - NEW - 1
    os.utime(folder, (begun, begun))
    return folder


def test_what_a_killed_worker_left_is_taken_away(temporary: Path) -> None:
    left = temporary / f"{PREFIX}left"
    left.mkdir()
    (left / "video.mp4").write_bytes(b"half")
    (left / ".lock").touch()
    take_away_leftovers()
    assert left.exists(), "it may be one that is just being made"
    made_long_ago(left)
    take_away_leftovers()
    assert not left.exists()


def test_a_folder_at_work_stays_however_old() -> None:
    with workplace() as folder:
        (folder / "video.mp4").write_bytes(b"whole")
        made_long_ago(folder)
        take_away_leftovers()
        assert (folder / "video.mp4").read_bytes() == b"whole"
    assert not folder.exists()


def test_other_folders_and_links_stay(temporary: Path) -> None:
    other = temporary / "other"
    other.mkdir()
    (temporary / f"{PREFIX}link").symlink_to(other)
    made_long_ago(other)
    take_away_leftovers()
    assert other.exists()
