"""A measurement of many parts goes on where it was stopped, and a finished one begins anew."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.going_on import gone_on


class Look:
    """Finds a name's length, until it is to stop."""

    def __init__(self, stop_at: str | None = None) -> None:
        self.seen: list[str] = []
        self.stop_at = stop_at

    def __call__(self, name: str) -> int:
        if name == self.stop_at:
            raise KeyboardInterrupt
        self.seen.append(name)
        return len(name)


def test_what_was_found_before_a_stop_is_not_looked_at_again(tmp_path: Path) -> None:
    stopped, again = Look(stop_at="flux"), Look()
    with pytest.raises(KeyboardInterrupt):
        gone_on(["wan", "flux"], stopped, tmp_path / "work", tmp_path / "found.json")
    assert not (tmp_path / "found.json").exists()
    assert gone_on(["wan", "flux"], again, tmp_path / "work", tmp_path / "found.json") == {"wan": 3, "flux": 4}
    assert again.seen == ["flux"]
    assert json.loads((tmp_path / "found.json").read_text(encoding="utf-8")) == {"wan": 3, "flux": 4}


def test_after_the_end_all_are_looked_at_anew(tmp_path: Path) -> None:
    first, second = Look(), Look()
    for look in (first, second):
        gone_on(["wan", "flux"], look, tmp_path / "work", tmp_path / "found.json")
    assert second.seen == first.seen == ["wan", "flux"]


def test_without_a_folder_nothing_is_kept(tmp_path: Path) -> None:
    assert gone_on(["wan"], Look(), None, None) == {"wan": 3}
    assert list(tmp_path.iterdir()) == []
