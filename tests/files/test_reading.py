"""Reading what anybody may have written, within bounds."""

import json
import os
from pathlib import Path

import attrs
import pytest

from cachekit.files.reading import parse_json, read_bytes, read_text
from cachekit.files.structuring import structure
from cachekit.files.text import plain


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        "[" * 5000 + "]" * 5000,
        '{"a":' * 500 + "1" + "}" * 500,
        "9" * 400,
        "9" * 5000,
        "-" + "9" * 30,
        "1e999",
        "NaN",
        "[Infinity]",
        '"\\ud800"',
        '{"\\udc00": 1}',
        '"\ud800"',
        "",
        "{",
    ],
)
def test_json_that_is_none_or_out_of_bounds_is_a_value_error(text):
    with pytest.raises(ValueError):
        parse_json(text)


@pytest.mark.parametrize("value", [None, 2**64 - 1, -1.5, "[" * 500, "\U0001f600", [[0] * 5] * 200, {"a": {"b": []}}])
def test_json_within_bounds_is_what_it_says(value):
    assert parse_json(json.dumps(value)) == value


def test_a_pipe_that_nobody_writes_to_is_empty_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert read_bytes(tmp_path / "pipe") == b""


def test_an_endless_file_is_refused_at_the_limit():
    with pytest.raises(ValueError, match="longer than 1 MiB"):
        read_text(Path("/dev/zero"), 2**20)


@attrs.frozen
class Sample:
    name: str
    count: int
    share: float
    some: dict[str, float] = attrs.field(factory=dict)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({"name": 1, "count": 1, "share": 1.0}, "must be a text, not 1 @ $.name"),
        ({"name": "a", "count": True, "share": 1.0}, "must be a whole number, not True"),
        ({"name": "a", "count": "1", "share": 1.0}, "must be a whole number, not '1'"),
        ({"name": "a", "count": 1.0, "share": 1.0}, "must be a whole number, not 1.0"),
        ({"name": "a", "count": 1, "share": "1"}, "must be a finite number, not '1'"),
        ({"name": "a", "count": 1, "share": float("inf")}, "must be a finite number, not inf"),
        ({"name": "a", "count": 1}, "a field is missing"),
        ({"name": "a", "count": 1, "share": 1, "more": 2}, "unknown fields: more"),
        ({"name": "a", "count": 1, "share": 1, "some": []}, "some"),
        ({"name": "a", "count": 1, "share": 1, "some": {"a": "b"}}, "must be a finite number, not 'b'"),
        ([], ""),
        (None, ""),
    ],
)
def test_nothing_of_a_wrong_type_is_structured(content, reason):
    with pytest.raises(ValueError) as refusal:
        structure(content, Sample)
    assert reason in str(refusal.value)


def test_what_a_terminal_would_obey_is_written_out():
    assert plain("a\x1b[31mb\u202ec\ud800\nd é 赤 [bold]") == r"a\x1b[31mb\u202ec\ud800\nd é 赤 [bold]"
