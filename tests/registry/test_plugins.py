"""A stranger's plugin does all that a shipped one does."""

import sys
import textwrap

import pytest

import cachekit
from cachekit.registry.plugins import PluginManager

SOURCE = '''
import attrs
import cachekit


@attrs.define
class EveryOther(cachekit.Strategy):
    """Compute every n-th step; reuse the last residual between."""
    n: int = attrs.field(default=2, validator=attrs.validators.ge(1))
    """distance between computed steps"""

    def should_compute(self, step: cachekit.Step) -> bool:
        return step.index % self.n == 0


@attrs.define
class Zero(cachekit.Predictor):
    """Skips add nothing."""
    like: object = attrs.field(default=None, init=False)

    def update(self, step, residual):
        self.like = residual

    def predict(self, step):
        return self.like * 0


@cachekit.hookimpl
def cachekit_strategies(register):
    register("{name}", EveryOther)


@cachekit.hookimpl
def cachekit_predictors(register):
    register("{name}-zero", Zero)
'''


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """Write a plugin module; returns its name once it can be imported."""

    def write(module, source):
        (tmp_path / f"{module}.py").write_text(textwrap.dedent(source))
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, module, raising=False)
        return module

    return write


def test_a_named_module_s_strategy_attaches_by_name(plugin, monkeypatch, transformer, run):
    monkeypatch.setenv("CACHEKIT_PLUGINS", plugin("stranger_one", SOURCE.format(name="every-other")))
    with cachekit.attach(transformer, "every-other", steps=6, n=3, predictor="every-other-zero") as session:
        run(6)
    assert session.traces[0].pattern == "X..X.."


def test_a_registration_names_its_origin(plugin):
    manager = PluginManager((plugin("stranger_two", SOURCE.format(name="every-other")),))
    registration = manager.strategies["every-other"]
    assert (registration.plugin.module, registration.plugin.distribution) == ("stranger_two", "(module)")
    assert manager.strategies["magcache"].plugin.distribution.startswith("cachekit-dit ")


def test_field_docstrings_and_types_describe_parameters(plugin):
    from cachekit.registry.parameters import describe_parameters

    manager = PluginManager((plugin("stranger_three", SOURCE.format(name="every-other")),))
    (parameter,) = describe_parameters(manager.strategies["every-other"].value)
    assert (parameter.name, parameter.type, parameter.default) == ("n", "int", 2)
    assert parameter.help == "distance between computed steps"


def test_a_taken_name_is_an_error_that_names_both(plugin):
    manager = PluginManager((plugin("stranger_four", SOURCE.format(name="magcache")),))
    with pytest.raises(
        cachekit.CachekitError, match=r"'magcache' is registered twice, by cachekit_magcache .* stranger_four"
    ):
        _ = manager.strategies


def test_a_named_module_that_fails_to_import_is_an_error(plugin):
    manager = PluginManager((plugin("stranger_five", "raise OSError('no licence')"),))
    with pytest.raises(cachekit.CachekitError, match=r"'stranger_five' could not be imported \(OSError: no licence\)"):
        _ = manager.strategies


def test_an_installed_plugin_that_fails_is_reported_and_the_rest_go_on(tmp_path, monkeypatch, plugin):
    plugin("stranger_six", "import not_there_at_all")
    info = tmp_path / "stranger-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: stranger\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[cachekit]\nsix = stranger_six\n")
    manager = PluginManager()
    assert "magcache" in manager.strategies
    (failed,) = manager.failures
    assert (failed.module, failed.distribution) == ("stranger_six", "stranger 1.0")
    assert "not_there_at_all" in failed.failure


def test_a_hook_with_wrong_arguments_is_an_error_that_names_the_plugin(plugin):
    source = "import cachekit\n@cachekit.hookimpl\ndef cachekit_strategies(registry):\n    pass\n"
    manager = PluginManager((plugin("stranger_seven", source),))
    with pytest.raises(cachekit.CachekitError, match="stranger_seven"):
        _ = manager.strategies


def test_importing_cachekit_and_its_plugins_does_not_import_torch():
    import subprocess

    code = (
        "import sys, cachekit, cachekit.cli.main; assert 'torch' not in sys.modules; "
        "from cachekit.registry.plugins import get_plugins; p = get_plugins(); "
        "[list(k) for k in (p.strategies, p.predictors, p.adapters, p.metrics, p.models)]; "
        "assert 'torch' not in sys.modules, 'a plugin imports torch'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
