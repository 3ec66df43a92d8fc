"""`cachekit calibrate` measures each of the field's measuring strategies, and what it measured runs."""

from __future__ import annotations

import json

import pytest

SETTINGS = {
    "cem": ("computed=4",),
    "dpcache": ("computed=4",),
    "lemica": ("computed=4",),
    "budcache": ("computed=3",),
    "l2p": ("computed=4",),
    "meancache": ("computed=4",),
    "sencache": ("thresh=0.5",),
}


@pytest.mark.parametrize("strategy", SETTINGS)
def test_a_profile_is_measured_and_used(cachekit, calibrate, weights, tmp_path, strategy):
    profile = calibrate(strategy, prompts=("a red circle moves left over the sea",))
    settings = [word for setting in SETTINGS[strategy] for word in ("--set", setting)]
    out = tmp_path / "out"
    command = ("run", "--strategy", strategy, "--profile", profile, *settings, "--weights", weights, "--steps", 8)
    status, _, errors = cachekit(*command, "--prompt", "a white square spins over a desert", "--out", out)
    assert status == 0, errors
    (line,) = (out / "manifest.jsonl").read_text().splitlines()
    pattern = json.loads(line)["pattern"]
    assert pattern.startswith("X")
    assert "." in pattern or strategy == "sencache"
    if strategy != "sencache":
        assert pattern.count("X") == int(SETTINGS[strategy][0].partition("=")[2])


@pytest.mark.parametrize("strategy", ["budcache", "lemica", "meancache", "sencache"])
def test_two_shards_add_up(cachekit, calibrate, tmp_path, strategy):
    prompts = "a red circle moves left over the sea", "a white square spins over a desert"
    whole = json.loads(calibrate(strategy, "whole", prompts=prompts).read_text())
    shards = [calibrate(strategy, f"shard{i}", prompts=(prompt,)) for i, prompt in enumerate(prompts)]
    merged = tmp_path / "merged.json"
    status, _, errors = cachekit("calibrate", "--merge", *shards, "--out", merged)
    assert status == 0, errors

    def numbers(value):
        if isinstance(value, dict):
            return [n for key in sorted(value) for n in numbers(value[key])]
        return [n for item in value for n in numbers(item)] if isinstance(value, list) else [value]

    theirs, ours = numbers(json.loads(merged.read_text())["values"]), numbers(whole["values"])
    assert len(theirs) == len(ours)
    for a, b in zip(theirs, ours, strict=True):
        assert a == (b if isinstance(b, str) else pytest.approx(b, rel=1e-5, abs=1e-9))
