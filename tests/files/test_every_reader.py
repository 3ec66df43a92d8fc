"""Every reader, fed with mutated valid files and arbitrary JSON: what it reads, or a CachekitError; nothing else."""

from __future__ import annotations

import importlib.resources
import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import click
import pytest
import torch
from safetensors.torch import save_file
from tiny_model import CIRCLE

hypothesis = pytest.importorskip("hypothesis")
given, settings, st = hypothesis.given, hypothesis.settings, hypothesis.strategies

from cachekit.cli.config import read_toml  # noqa: E402
from cachekit.comparison.quality import Judge  # noqa: E402
from cachekit.errors import CachekitError  # noqa: E402
from cachekit.generation.manifest import Manifest  # noqa: E402
from cachekit.generation.prompts import read_prompts  # noqa: E402
from cachekit.opensora.mini.config import transformer_sizes  # noqa: E402
from cachekit.profiles.profile import load_profile  # noqa: E402
from cachekit.tuning.search import STUDY, open_study, tried_of  # noqa: E402

MANIFEST_LINE = {
    "file": "a-0.mp4", "prompt": CIRCLE, "model": "m", "model_options": {}, "strategy": "none", "predictor": None,
    "params": {"ratios": [0.5]}, "steps": 3, "guidance_scale": 4.0, "device": "cpu", "dtype": "float32",
    "format": "mp4", "seed": 0, "pattern": "XXX", "ideal_speedup": 1.0,
    "seconds": {"text": 0.1, "denoising": 1.0, "decoding": 0.1}, "sha256": "0" * 64, "bytes": 100,
}  # fmt: skip
PROFILE = json.loads(
    (importlib.resources.files("cachekit_magcache") / "profiles" / "opensora-1.2.json").read_text(encoding="utf-8")
)
VALID: dict[str, Any] = {
    "manifest": MANIFEST_LINE,
    "profile": PROFILE,
    "prompts": {"prompts": [CIRCLE, {"prompt_en": CIRCLE}]},
    "quality": {"gt": "a", "gen": "b", "values": {"psnr": 30.0}},
    "weights": {"transformer": {"hidden_size": 32, "depth": 2}, "text": {}, "autoencoder": {}},
    "trial": {"strategy": "uniform:computed=3", "predictor": "reuse",
              "figures": {"psnr": 1.0, "worst_psnr": 1.0, "ideal_speedup": 2.0, "speedup": None}},
    "config": {"steps": 3, "set": ["K=2"]},
    "study": {"op_code": 0, "worker_id": "w", "study_name": "tune", "directions": [1]},
}  # fmt: skip


def read_weights(path: Path) -> object:
    tensors = path.with_suffix(".safetensors")
    save_file({"a": torch.zeros(1)}, tensors, metadata={"config": path.read_bytes().decode("utf-8", "replace")})
    return transformer_sizes(tensors)


def read_quality(path: Path) -> object:
    judge = Judge(path.parent, ["psnr"])
    path.rename(path.with_name("quality.jsonl"))
    return judge.recall()


def read_manifest(path: Path) -> object:
    path.rename(path.with_name("manifest.jsonl"))
    return Manifest.open(path.parent)


def read_trial(path: Path) -> object:
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return None
    return tried_of(content) if isinstance(content, dict) else None


def read_study(path: Path) -> object:
    path.rename(path.with_name(STUDY))
    return open_study(path.parent, {"a": 1})


READERS: dict[str, Callable[[Path], object]] = {
    "manifest": read_manifest,
    "profile": load_profile,
    "prompts": lambda path: read_prompts(str(path)),
    "quality": read_quality,
    "weights": read_weights,
    "trial": read_trial,
    "config": lambda path: read_toml(str(path)),
    "study": read_study,
}
"""Each reads one kind of file."""

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**400), 10**400) | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
"""JSON, and what Python takes for it."""


@st.composite
def mutated(draw: Callable[[Any], Any], valid: Any) -> bytes:
    """A valid file with one thing in it replaced, taken out or added, or its text cut or touched."""
    content = json.loads(json.dumps(valid))
    part = content
    while isinstance(part, dict | list) and part:
        keys = list(part) if isinstance(part, dict) else list(range(len(part)))
        key = draw(st.sampled_from(keys))
        if not isinstance(part[key], dict | list) or draw(st.booleans()):
            if draw(st.booleans()):
                part[key] = draw(ANYTHING)
            else:
                del part[key]
            break
        part = part[key]
    text = json.dumps(content, ensure_ascii=draw(st.booleans())).encode("utf-8", "surrogatepass") + b"\n"
    if draw(st.integers(0, 3)) == 0:
        at = draw(st.integers(0, len(text)))
        text = text[:at] + draw(st.binary(max_size=4)) + (b"" if draw(st.booleans()) else text[at:])
    return text


@pytest.mark.parametrize("kind", READERS)
@settings(max_examples=60, deadline=None, database=None, derandomize=True)
@given(data=st.data())
def test_a_reader_raises_nothing_else(kind, data, tmp_path_factory):
    arbitrary = ANYTHING.map(lambda value: json.dumps(value).encode() + b"\n") | st.binary(max_size=60)
    content = data.draw(mutated(VALID[kind]) | arbitrary)
    path = tmp_path_factory.mktemp("read") / "file"
    path.write_bytes(content)
    with suppress(CachekitError, click.ClickException):
        READERS[kind](path)


@pytest.mark.parametrize("kind", [kind for kind in READERS if kind not in ("config", "study")])
def test_a_valid_file_is_read(kind, tmp_path):
    path = tmp_path / "file"
    path.write_text(json.dumps(VALID[kind]) + "\n")
    READERS[kind](path)
