"""A pipeline's folder that is damaged or says nonsense is one sentence that names the file, before it is loaded."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tiny_model import run_command

from cachekit.diffusers.tiny import tiny_pipeline

PARTS = ("model_index.json", "transformer/config.json", "scheduler/scheduler_config.json")
NONSENSE = ("", "NaN", "3", "[]", "[" * 5000 + "]" * 5000, '{"a": ' + "9" * 5000 + "}", '{"a": 1e999}', "\ud800")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole") / "wan"
    tiny_pipeline("wan").save_pretrained(folder)
    return folder


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Iterator[Path]:
    """A copy whose small files are its own."""
    yield Path(shutil.copytree(whole, tmp_path / "wan"))


def refused(folder: Path) -> str:
    status, out, errors = run_command("plan", "uniform", "--steps", 12, "--model", f"diffusers:path={folder}")
    assert status == 2
    assert "Traceback" not in out + errors
    (sentence,) = [line for line in errors.splitlines() if line.startswith("cachekit: ")]
    return sentence


@pytest.mark.parametrize("content", NONSENSE, ids=range(len(NONSENSE)))
@pytest.mark.parametrize("part", PARTS)
def test_a_file_that_is_no_object_is_named(folder, part, content):
    (folder / part).write_bytes(content.encode("utf-8", "surrogatepass"))
    assert f"{part}' can't be read" in refused(folder)


def test_a_pipe_in_the_place_of_a_file_is_never_waited_for(folder):
    (folder / PARTS[0]).unlink()
    os.mkfifo(folder / PARTS[0])
    assert "model_index.json" in refused(folder)


@pytest.mark.parametrize("name", [3, "DDIMScheduler", "__name__", None])
def test_a_class_that_is_no_pipeline_is_refused(folder, name):
    index = json.loads((folder / PARTS[0]).read_text(encoding="utf-8"))
    (folder / PARTS[0]).write_text(json.dumps({**index, "_class_name": name}))
    assert "has no pipeline" in refused(folder)


@pytest.mark.parametrize("part", [3, [], ["diffusers"], ["diffusers", 3], [None, None]])
def test_a_transformer_that_is_no_class_of_a_library_is_refused(folder, part):
    index = json.loads((folder / PARTS[0]).read_text(encoding="utf-8"))
    (folder / PARTS[0]).write_text(json.dumps({**index, "transformer": part}))
    assert "has no transformer" in refused(folder)


@pytest.mark.parametrize("content", [b"", b"\xff" * 64, (2**62).to_bytes(8, "little") + b"{}"])
def test_weights_that_are_none_are_named(folder, content):
    (weights,) = (folder / "transformer").glob("*.safetensors")
    weights.write_bytes(content)
    assert f"{weights.name}' can't be read" in refused(folder)
