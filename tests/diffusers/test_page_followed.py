"""docs/diffusers.md and the README followed from their lines alone: what a new user types, on pipelines made small."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from tiny_model import run_command

import cachekit
from cachekit.diffusers.tiny import main, tiny_pipeline

ROOT = Path(__file__).parents[2]
PAGE, README = ((ROOT / name).read_text(encoding="utf-8") for name in ("docs/diffusers.md", "README.md"))
SMALL = {
    "wan": {"height": 32, "width": 32, "num_frames": 5, "num_inference_steps": 8},
    "wan22": {"height": 32, "width": 32, "num_frames": 5, "num_inference_steps": 8},
    "flux": {"height": 32, "width": 32, "num_inference_steps": 8},
}
HUB = '"Wan-AI/Wan2.1-T2V-1.3B-Diffusers"'
LEFT_SHORT = {"tune": ("--trials", "4"), "bench": ("--loops", "1", "--rounds", "20")}
"""What a test adds, so as not to take minutes."""


def snippets(text: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", text, re.DOTALL)


def commands(text: str) -> list[list[str]]:
    """The page's commands as a shell would split them, its one variable put in."""
    (block,) = re.findall(r"```\n(python -m cachekit\.diffusers\.tiny wan.*?\nS=.*?)```", text, re.DOTALL)
    (said,) = re.findall(r'^S="(.*)"$', block, re.MULTILINE)
    lines = [line for line in block.splitlines() if not line.startswith("S=")]
    return [shlex.split(line.replace("$S", said)) for line in lines]


def small(family: str, folder: Path) -> Any:
    """A pipeline loaded from a tiny folder, small where its call is not told a size."""
    import diffusers

    tiny_pipeline(family).save_pretrained(folder)
    pipe = diffusers.DiffusionPipeline.from_pretrained(folder)
    kind = type(pipe)

    def call(self: Any, prompt: str, **given: Any) -> Any:
        return kind.__call__(self, prompt, **{**SMALL[family], **given})

    pipe.__class__ = type(kind.__name__, (kind,), {"__call__": call})
    pipe.set_progress_bar_config(disable=True)
    return pipe


@pytest.mark.parametrize("family", SMALL)
def test_the_snippets_run_as_they_stand(family, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    one_line, calibrating = snippets(PAGE)
    pipe = small(family, tmp_path / "pipe")
    made = "images" if family == "flux" else "frames"
    known = {"cachekit": cachekit, "pipe": pipe, "prompt": "a red fox"}
    exec(calibrating, known)
    assert (tmp_path / "p.json").exists()
    pipe("a red fox")
    cachekit.disable(pipe)
    assert HUB in one_line
    loaded = one_line.replace(HUB, "...").replace("DiffusionPipeline.from_pretrained(...)", "pipe")
    with_profile = loaded.replace("thresh=0.12", 'thresh=0.12, profile="p.json"').replace(".frames", f".{made}")
    exec(with_profile, known)
    assert set(known["enabled"].trace.pattern) == {"X", "."}
    enabling, attaching = snippets(README)[:2]
    exec(enabling.replace("thresh=0.12", 'thresh=0.12, profile="p.json"').replace(".frames", f".{made}"), known)
    if family != "wan22":  # of two transformers each makes a part of the steps
        exec(attaching.replace("steps=30", 'steps=8, profile="p.json"'), known)
        assert len(known["session"].trace.pattern) == 8


def test_the_commands_run_as_they_stand(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    makes, *others = commands(PAGE)
    result = CliRunner().invoke(main, makes[3:])
    assert result.exit_code == 0
    assert [words[1] for words in others] == ["run", "run", "eval", "calibrate", "plan", "compare", "tune", "bench"]
    for command in others:
        status, _, errors = run_command(*command[1:], *LEFT_SHORT.get(command[1], ()))
        assert status == 0, (command, errors)
    assert sorted(path.name for path in (tmp_path / "gt").glob("*.mp4"))
    assert (tmp_path / "report" / "index.html").exists()
