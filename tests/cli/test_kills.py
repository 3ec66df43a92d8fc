"""kill -9 at any moment loses nothing that was finished; `python -m tests.kills` tries sixty moments."""

from __future__ import annotations

import sys

import pytest
from kills import COUNTS, kill_often

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="commands run in forked processes")


@pytest.mark.parametrize(("name", "count"), [("run", 3), ("compare", 1), ("tune", 2)])
def test_a_few_kills_lose_nothing(tmp_path, weights, name, count):
    assert kill_often(name, count, tmp_path / "kills", weights, seed=3) == []


@pytest.mark.slow
@pytest.mark.parametrize(("name", "count"), COUNTS.items())
def test_sixty_kills_lose_nothing(tmp_path, weights, name, count):
    assert kill_often(name, count, tmp_path / "kills", weights, seed=0) == []
