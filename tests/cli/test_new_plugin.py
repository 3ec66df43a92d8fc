"""`cachekit new-plugin` writes a package that installs, passes its own tests and is found."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


def test_the_package_passes_its_own_tests(cachekit, tmp_path):
    status, _, errors = cachekit("new-plugin", "my-cache", "--out", tmp_path / "mine")
    assert status == 0, errors
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "mine")}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=tmp_path / "mine", env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 passed" in done.stdout


def test_its_strategy_is_registered_by_its_entry_point(cachekit, tmp_path, monkeypatch):
    _, out, _ = cachekit("new-plugin", "other-cache", "--out", tmp_path / "other", "--json", "-")
    assert [Path(file).name for file in json.loads(out)["files"]] == [
        "pyproject.toml",
        "README.md",
        "__init__.py",
        "test_cachekit_other_cache.py",
    ]
    assert 'other-cache = "cachekit_other_cache"' in (tmp_path / "other" / "pyproject.toml").read_text()
    monkeypatch.syspath_prepend(tmp_path / "other")
    monkeypatch.setenv("CACHEKIT_PLUGINS", "cachekit_other_cache")
    status, out, _ = cachekit("strategies", "--json", "-")
    assert status == 0
    assert "other-cache" in out


@pytest.mark.parametrize(
    ("name", "sentence"),
    [("My_Cache", "lower-case letters"), ("magcache", "a strategy 'magcache' already"), ("", "lower-case letters")],
)
def test_a_name_that_can_not_be_is_refused(cachekit, tmp_path, name, sentence):
    status, _, errors = cachekit("new-plugin", name, "--out", tmp_path / "x")
    assert status == 2
    assert sentence in errors
    assert not (tmp_path / "x").exists()


def test_a_folder_that_is_there_is_left_alone(cachekit, tmp_path):
    status, _, errors = cachekit("new-plugin", "my-cache", "--out", tmp_path)
    assert status == 2
    assert "is there already" in errors
    assert not list(tmp_path.iterdir())
