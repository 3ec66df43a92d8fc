"""The README's strategy, written out as it stands there."""

import re
from pathlib import Path

import pytest
from tiny_model import CIRCLE

README = (Path(__file__).parent.parent / "README.md").read_text()
PLUGIN = README[README.index("## Write a strategy") :]


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", PLUGIN, re.DOTALL)
    assert found
    return found.group(1)


@pytest.fixture
def every_other(tmp_path, monkeypatch):
    (tmp_path / "every_other.py").write_text(block("python"))
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_the_strategy_runs_by_the_command_beside_it(every_other, cachekit, weights):
    command = re.search(r"`PYTHONPATH=\. cachekit (run [^`]*)`", PLUGIN)
    assert command
    out = every_other / "out"
    given = ("--weights", weights, "--prompt", CIRCLE, "--steps", 7, "--out", out)
    status, _, errors = cachekit(*command.group(1).split(), *given)
    assert status == 0, errors
    assert '"pattern": "X..X..X"' in (out / "manifest.jsonl").read_text()


def test_the_package_beside_it_names_its_module():
    tomllib = pytest.importorskip("tomllib")
    package = tomllib.loads(block("toml"))
    assert package["project"]["entry-points"]["cachekit"] == {"every-other": "every_other"}
    assert package["tool"]["setuptools"]["py-modules"] == ["every_other"]
