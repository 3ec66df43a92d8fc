"""Where prompts come from."""

import io
import json

import pytest

import cachekit
from cachekit.generation.prompts import collect_prompts, read_prompts


def test_a_line_each_blank_ones_left_out(tmp_path):
    path = tmp_path / "prompts.txt"
    path.write_bytes("\ufeffa red circle\r\n\r\n  a blue square  \n".encode())
    assert read_prompts(str(path)) == ["a red circle", "a blue square"]


def test_json_objects_with_prompt_en_or_plain_texts(tmp_path):
    path = tmp_path / "full_info.json"
    path.write_text(json.dumps([{"prompt_en": "a red circle", "dimension": ["color"]}, "a blue square"]))
    assert read_prompts(str(path)) == ["a red circle", "a blue square"]


def test_standard_input(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"a red circle\n")))
    assert read_prompts("-") == ["a red circle"]


def test_prompts_given_one_by_one_come_before_the_file_s(tmp_path):
    path = tmp_path / "prompts.txt"
    path.write_text("second\n")
    assert collect_prompts(["first"], str(path)) == ["first", "second"]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "holds no prompts"),
        (b"\n \n", "holds no prompts"),
        (b"[]", "holds no prompts"),
        (b"caf\xe9", r"is not UTF-8 \(byte 3\)"),
        (b'["a",', "malformed"),
        (b'[{"text": "a"}]', "entry 0 has no text under 'prompt_en'"),
        (b"[1]", "entry 0 has no text"),
    ],
)
def test_a_bad_file_is_refused_in_a_sentence(tmp_path, content, sentence):
    path = tmp_path / "prompts.txt"
    path.write_bytes(content)
    with pytest.raises(cachekit.CachekitError, match=sentence):
        read_prompts(str(path))


def test_a_missing_file_and_an_empty_prompt_are_refused(tmp_path):
    with pytest.raises(cachekit.CachekitError, match="can't be read"):
        read_prompts(str(tmp_path / "none.txt"))
    with pytest.raises(cachekit.CachekitError, match="a prompt is empty"):
        collect_prompts([" "], None)
