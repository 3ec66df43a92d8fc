"""VBench's prompts are read from its installed package, without importing it."""

import json
import sys
from importlib.util import find_spec

import pytest

from cachekit import CachekitError
from cachekit.generation.prompts_vbench import vbench_prompts


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """A folder on the path, and no other, that a package vbench can be in."""
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    monkeypatch.delitem(sys.modules, "vbench", raising=False)
    return tmp_path


def install(folder, content):
    package = folder / "vbench"
    package.mkdir()
    (package / "__init__.py").write_text("raise ImportError('heavy')\n")
    if content is not None:
        (package / "VBench_full_info.json").write_text(content)


def test_prompts_keep_their_order_and_their_repetitions(installed):
    install(installed, json.dumps([{"prompt_en": prompt, "dimension": ["color"]} for prompt in ("b", "a", "b")]))
    assert vbench_prompts() == ["b", "a", "b"]
    assert "vbench" not in sys.modules


def test_without_the_package_the_error_says_how_to_install_it(installed):
    with pytest.raises(CachekitError, match="pip install --no-deps vbench"):
        vbench_prompts()


@pytest.mark.parametrize("content", [None, "{", "[]", '[{"prompt": "a"}]', '[{"prompt_en": ""}]'])
def test_a_package_without_prompts_is_refused(installed, content):
    install(installed, content)
    with pytest.raises(CachekitError, match="vbench"):
        vbench_prompts()


@pytest.mark.skipif(find_spec("vbench") is None, reason="vbench is not installed: pip install --no-deps vbench")
def test_the_package_has_946_prompts_of_which_two_occur_twice():
    prompts = vbench_prompts()
    assert (len(prompts), len(set(prompts))) == (946, 944)
