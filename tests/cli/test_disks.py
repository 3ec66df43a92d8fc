"""A full disk: old results stay whole, and the work stops with one sentence; `python -m tests.disks` tries all."""

from __future__ import annotations

import pytest
from disks import SIZES, disk, fill_up
from forked import preload

COMMANDS = ("run", "compare", "calibrate", "tune", "eval", "plan", "strategies")


@pytest.fixture(scope="module")
def mountable(tmp_path_factory):
    """Skips where no file system may be mounted."""
    try:
        with disk(tmp_path_factory.mktemp("disk") / "tried"):
            pass
    except OSError as error:
        pytest.skip(f"no file system can be mounted here: {error}")
    preload()


@pytest.mark.usefixtures("mountable")
@pytest.mark.parametrize(
    ("name", "left"), [("run", 0), ("run", 12), ("compare", 16), ("calibrate", 4), ("strategies", 0)]
)
def test_a_disk_that_fills_up_tears_nothing(tmp_path, weights, name, left):
    assert fill_up(name, left, tmp_path / "disk", weights) == []


@pytest.mark.slow
@pytest.mark.usefixtures("mountable")
@pytest.mark.parametrize("left", SIZES)
@pytest.mark.parametrize("name", COMMANDS)
def test_a_disk_of_any_size_tears_nothing(tmp_path, weights, name, left):
    assert fill_up(name, left, tmp_path / "disk", weights) == []
