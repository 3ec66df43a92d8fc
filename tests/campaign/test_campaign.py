"""A slice of the campaign: `python -m tests.campaign` runs all of it."""

from __future__ import annotations

import sys

import pytest

from tests.campaign.__main__ import run_lines


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="lines run in forked processes, with Linux's devices")
def test_forty_hostile_lines_end_in_sentences_and_touch_nothing(tmp_path):
    ran = run_lines(tmp_path / "campaign", lines=40, seed=7)
    assert {number: (one.faults, one.words, one.err[-2000:]) for number, one in ran.items() if one.faults} == {}
    assert {one.status for one in ran.values()} >= {0, 2}
