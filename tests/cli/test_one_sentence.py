"""Whatever comes, one sentence: bounds, brackets, controls and prompts in every form."""

from __future__ import annotations

import json
import sys

import pytest
from tiny_model import CIRCLE, SQUARE

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

QUICK = ("--steps", 3, "--strategy", "none")


@pytest.mark.parametrize(
    "words",
    [
        ("plan", "magcache", "--steps", "99999999999999999999"),
        ("plan", "magcache", "--steps", "9" * 400),
        ("plan", "magcache", "--steps", "9" * 5000),
        ("plan", "magcache", "--set", f"K={'9' * 5000}"),
        ("plan", "magcache", "--set", f"K={'9' * 400}"),
        ("plan", "magcache", "--set", f"ratios={'[' * 5000}"),
        ("plan", "magcache", "--set", f"ratios={'[' * 200}{']' * 200}"),
        ("plan", "uniform", "--set", "computed=1e999"),
        ("eval", "--gt", ".", "--gen", ".", "--threads", "99999999999"),
        ("bench", "--threads", "99999999999"),
        ("run", "--seed", "9" * 30),
        ("run", "--videos-per-prompt", "9" * 30),
        ("run", "--prompt", "\udcff circle"),
        ("run", "--plugin", "\udcff"),
        ("tune", "uniform", "--min-psnr", "1", "--search", "computed=1..inf"),
        ("tune", "magcache", "--min-psnr", "1", "--search", "thresh=0.1..1e400"),
        ("tune", "uniform", "--min-psnr", "1", "--search", f"computed=1..{'9' * 400}"),
    ],
)
def test_what_is_out_of_bounds_is_refused_at_once(cachekit, tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    status, _, errors = cachekit(*words)
    assert (status, len(errors) < 1500) == (2, True), errors
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "text",
    [
        f"{CIRCLE}\n{SQUARE}\n",
        f'"{CIRCLE}"\n"{SQUARE}"\n',
        json.dumps([CIRCLE, {"prompt_en": SQUARE}]),
        json.dumps({"prompts": [CIRCLE, SQUARE]}),
        json.dumps({"prompts": [CIRCLE, SQUARE]}, indent=2),
        f'{{"prompt_en": "{CIRCLE}"}}\n{{"prompt": "{SQUARE}"}}\n',
    ],
)
def test_prompts_are_read_in_every_form(cachekit, weights, tmp_path, text):
    (tmp_path / "p").write_text(text)
    words = ("run", "--weights", weights, *QUICK, "--prompts", tmp_path / "p", "--out", tmp_path / "o", "--json", "-")
    status, out, errors = cachekit(*words)
    assert status == 0, errors
    assert [video["prompt"] for video in json.loads(out)["videos"]] == [CIRCLE, SQUARE]


@pytest.mark.parametrize(
    "content",
    [
        f'{CIRCLE}\n{{"prompt": "{SQUARE}"}}\n'.encode(),
        b'{"prompts": 3}',
        b'{"prompts": [["a"]]}',
        b'{"prompts": ["\\ud800"]}',
        b'{"prompt": 3}\n',
        b'{"a": 1}\n{"a": 2}\n',
        b"[" * 5000,
        b"[" + b"9" * 5000 + b"]",
        b"caf\xe9",
        b"x" * 200_000,
    ],
)
def test_prompts_that_are_none_are_refused(cachekit, weights, tmp_path, content):
    (tmp_path / "p").write_bytes(content)
    status, _, errors = cachekit(
        "run", "--weights", weights, *QUICK, "--prompts", tmp_path / "p", "--out", tmp_path / "o"
    )
    assert (status, len(errors.strip().splitlines()), "\x1b" in errors) == (2, 1, False), errors
    assert not (tmp_path / "o").exists()


def test_brackets_are_no_markup_and_controls_are_written_out(cachekit, weights, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    prompt = f"{CIRCLE} [bold]\x1b[31m[/bold]"
    status, out, errors = cachekit("run", "--weights", weights, *QUICK, "--prompt", prompt, "--out", "o/[/bold]")
    assert status == 0, errors
    assert "videos in o/[/bold]" in out
    assert "\x1b" not in out + errors
    status, out, errors = cachekit("plan", "magcache", "--set", "thresh=[batch, tokens, width]")
    assert "[batch, tokens, width]" in errors


def test_a_prompt_with_a_line_break_makes_a_settings_file_that_is_toml(cachekit, weights, tmp_path):
    (tmp_path / "check.txt").write_text(SQUARE)
    words = ("--weights", weights, "--steps", 4, "--prompt", f"{CIRCLE}\nand = [broken", "--trials", 2)
    search = ("--search", "computed=2,3", "--predictor", "reuse", "--check-prompts", tmp_path / "check.txt")
    status, out, errors = cachekit(
        "tune", "uniform", "--min-psnr", 1, *words, *search, "--folder", tmp_path / "t", "--json", "-"
    )
    assert status in (0, 1), errors
    settings = tomllib.loads((tmp_path / "t" / "settings.toml").read_text())
    assert settings["strategy"] == "uniform"
    assert json.loads(out)["file"].endswith("settings.toml")


@pytest.mark.parametrize("kind", ["fifo", "folder", "device"])
@pytest.mark.parametrize("option", ["manifest", "--profile", "--config", "--weights", "--prompts"])
def test_what_is_no_file_is_named_and_never_waited_for(cachekit, weights, tmp_path, kind, option):
    import os

    odd = tmp_path / "manifest.jsonl"
    {"fifo": os.mkfifo, "folder": os.mkdir, "device": lambda path: path.symlink_to("/dev/null")}[kind](odd)
    named = () if option == "manifest" else (option, odd)
    model = () if option == "--weights" else ("--weights", weights)
    strategy = ("--strategy", "magcache") if option == "--profile" else ("--strategy", "none")
    out = tmp_path if option == "manifest" else tmp_path / "o"
    status, _, errors = cachekit("run", *model, "--steps", 3, *strategy, *named, "--prompt", CIRCLE, "--out", out)
    assert status == 2 or (option == "--config" and status == 0), errors
    assert len([line for line in errors.strip().splitlines() if not line.startswith("Usage: ")]) == 1


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("prompt", 3), ("seed", "0"), ("seed", True), ("params", []), ("seconds", {}), ("seconds", {"text": "a"}),
        ("sha256", "x"), ("steps", None), ("model_options", "x"), ("ideal_speedup", "fast"), ("bytes", "many"),
    ],
)  # fmt: skip
def test_a_manifest_of_wrong_types_is_damaged(cachekit, weights, tmp_path, field, value):
    words = ("run", "--weights", weights, *QUICK, "--prompt", CIRCLE, "--out", tmp_path / "o")
    assert cachekit(*words)[0] == 0
    path = tmp_path / "o" / "manifest.jsonl"
    path.write_text(json.dumps({**json.loads(path.read_text()), field: value}) + "\n")
    status, _, errors = cachekit(*words)
    assert (status, "is damaged" in errors, len(errors.strip().splitlines())) == (2, True, 1), errors
