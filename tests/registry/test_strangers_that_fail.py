"""A stranger's plugin that fails takes nothing down: it is reported once, and asked for by name it is an error."""

from __future__ import annotations

import sys
import textwrap

import pytest

import cachekit
from cachekit.registry.plugins import PluginManager

HEAD = "import sys, attrs, cachekit\n"
STRATEGY = """
@attrs.define
class Mine(cachekit.Strategy):
    n: int = 2
    def plan(self, run):
        return "X" * run.steps
"""
PREDICTOR = """
@attrs.define
class Guess(cachekit.Predictor):
    def update(self, step, residual): pass
    def predict(self, step): return step.hidden
@cachekit.hookimpl
def cachekit_predictors(register):
    register("guess", Guess)
"""


def hook(body: str, kind: str = "strategies", signature: str = "register") -> str:
    return f"@cachekit.hookimpl\ndef cachekit_{kind}({signature}):\n" + textwrap.indent(textwrap.dedent(body), "    ")


FAILING = {
    "raises at import": "raise OSError('no licence')",
    "exits at import": "sys.exit(0)",
    "exits at import with words": "sys.exit('no GPU')",
    "raises no Exception": "class Odd(BaseException): pass\nraise Odd('x')",
    "syntax": "def (",
    "hook raises": hook("raise RuntimeError('boom')"),
    "hook exits": hook("sys.exit(3)"),
    "hook raises after registering": STRATEGY + hook("register('mine', Mine)\nraise RuntimeError('boom')"),
    "a later hook raises": STRATEGY + hook("register('mine', Mine)") + hook("1 / 0", "models"),
    "wrong signature": hook("pass", signature="registry"),
    "too many arguments": hook("pass", signature="register, more"),
    "unknown hook": "@cachekit.hookimpl\ndef cachekit_nothings(register): pass\n",
    "taken name": STRATEGY + hook("register('magcache', Mine)"),
    "its own name twice": STRATEGY + hook("register('mine', Mine)\nregister('mine', Mine)"),
    "no class": hook("register('mine', 3)"),
    "an object of a class": STRATEGY + hook("register('mine', Mine())"),
    "a function": hook("register('mine', lambda: None)"),
    "no strategy": "class Plain: pass\n" + hook("register('mine', Plain)"),
    "a predictor for a strategy": "class P(cachekit.Predictor): pass\n" + hook("register('mine', P)"),
    "no attrs class": "class Bare(cachekit.Strategy):\n    n: int = 2\n" + hook("register('mine', Bare)"),
    "an abstract adapter": "class A(cachekit.Adapter): pass\n" + hook("register('mine', A)", "adapters"),
    "no text for a name": STRATEGY + hook("register(None, Mine)"),
    "an empty name": STRATEGY + hook("register('', Mine)"),
    "a name that no line can say": STRATEGY + hook("register('a:b', Mine)"),
    "a name with controls": STRATEGY + hook("register('a\\x1b[31m', Mine)"),
    "profiles that are no folder": STRATEGY + hook("register('mine', Mine, profiles=3)"),
    "wrong arguments": STRATEGY + hook("register(Mine)"),
}
"""What a plugin may do, and its source."""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Install a distribution `stranger 1.0` whose entry point is this module."""

    def write(source: str, module: str = "stranger_that_fails") -> str:
        (tmp_path / f"{module}.py").write_text(HEAD + source)
        info = tmp_path / "stranger-1.0.dist-info"
        info.mkdir(exist_ok=True)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: stranger\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[cachekit]\naaa = {module}\n")
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, module, raising=False)
        return module

    return write


@pytest.mark.parametrize("source", FAILING.values(), ids=FAILING)
def test_an_installed_plugin_that_fails_is_reported_and_nothing_of_it_stays(install, source):
    module = install(PREDICTOR + source)
    manager = PluginManager()
    assert "magcache" in manager.strategies
    assert manager.strategies["magcache"].plugin.distribution.startswith("cachekit-dit ")
    assert not [name for name in ("mine", "guess") if name in manager.strategies or name in manager.predictors]
    (failed,) = manager.failures
    assert failed.module == module
    assert f"the plugin {module} of stranger 1.0 failed: " in failed.report
    assert "update or uninstall it" in failed.report
    with pytest.raises(cachekit.CachekitError, match=r"no strategy named 'mine'.* the plugin stranger_that_fails of"):
        manager.strategies["mine"]


@pytest.mark.parametrize("source", FAILING.values(), ids=FAILING)
def test_the_same_plugin_named_by_the_user_is_an_error(install, tmp_path, source):
    module = install(PREDICTOR + source)
    (tmp_path / "stranger-1.0.dist-info" / "entry_points.txt").write_text("")
    with pytest.raises(cachekit.CachekitError, match=module):
        _ = PluginManager((module,)).strategies


def test_a_metric_that_fails_is_warned_of_and_the_others_serve(install):
    install(PREDICTOR + hook("raise RuntimeError('boom')", "metrics"))
    manager = PluginManager()
    with pytest.warns(cachekit.CachekitWarning, match="stranger 1.0 failed: RuntimeError: boom"):
        assert "psnr" in manager.metrics
    assert "guess" not in manager.predictors


def test_of_two_strangers_that_take_one_name_the_second_fails(install, tmp_path):
    install(STRATEGY + hook("register('mine', Mine)"))
    (tmp_path / "another.py").write_text(HEAD + STRATEGY + hook("register('mine', Mine)"))
    points = tmp_path / "stranger-1.0.dist-info" / "entry_points.txt"
    points.write_text(points.read_text() + "bbb = another\n")
    manager = PluginManager()
    assert manager.strategies["mine"].plugin.module == "stranger_that_fails"
    assert [failed.module for failed in manager.failures] == ["another"]
