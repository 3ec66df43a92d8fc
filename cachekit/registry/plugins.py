"""Finding plugins and what they register: entry points, `--plugin module` and `CACHEKIT_PLUGINS`."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import types
import warnings
from collections.abc import Iterable, Iterator
from functools import cached_property, lru_cache
from typing import Any, Generic, TypeVar

import attrs
import pluggy

from cachekit.errors import CachekitError, CachekitWarning, unknown
from cachekit.interface import hooks
from cachekit.registry.registrations import check_registration

ENVIRONMENT_VARIABLE = "CACHEKIT_PLUGINS"
OWN = "cachekit-dit"
HOOKS = {
    "strategy": "cachekit_strategies",
    "predictor": "cachekit_predictors",
    "adapter": "cachekit_adapters",
    "metric": "cachekit_metrics",
    "model": "cachekit_models",
}
"""The hook of each kind of thing."""
METRIC = "metric"

T = TypeVar("T")


@attrs.frozen
class Plugin:
    """A module that was asked to register things, and where it came from."""

    name: str
    module: str
    distribution: str
    """`cachekit-dit 0.1.0`; `(module)` where it was named rather than installed."""
    failure: str | None = None
    """Why it failed; None where it did not."""

    @property
    def report(self) -> str:
        """The failure as a sentence."""
        return (
            f"the plugin {self.module} of {self.distribution} failed: {self.failure}; nothing of it can be used until "
            "it is mended, so update or uninstall it"
        )


@attrs.frozen
class Registration(Generic[T]):
    """A registered thing under its name, and the plugin that brought it."""

    name: str
    value: type[T]
    plugin: Plugin
    profiles: object | None = None
    """A folder of profiles (`importlib.resources` Traversable) that came with it."""


@attrs.define
class Registry(Generic[T]):
    """Everything of one kind, by name, in the order registered."""

    kind: str
    _items: dict[str, Registration[T]] = attrs.field(factory=dict)
    failures: list[Plugin] = attrs.field(factory=list)
    """Plugins that failed, one of which may have brought what is asked for."""

    def check_free(self, plugin: Plugin, name: str) -> None:
        """Refuse a name that another plugin has."""
        taken = self._items.get(name)
        if taken is not None:
            raise CachekitError(
                f"the {self.kind} name {name!r} is registered twice, by {describe(taken.plugin)} and by "
                f"{describe(plugin)}; uninstall or rename one of them"
            )

    def add(self, registration: Registration[T]) -> None:
        self._items[registration.name] = registration

    def drop(self, plugin: Plugin) -> None:
        """Forget what a plugin brought."""
        for name in [item.name for item in self if item.plugin == plugin]:
            del self._items[name]

    def __getitem__(self, name: str) -> Registration[T]:
        try:
            return self._items[name]
        except KeyError:
            error = unknown(self.kind, name, self._items)
        failed = "; ".join(plugin.report for plugin in self.failures)
        raise CachekitError(f"{error}; {failed}") if failed else error

    def __iter__(self) -> Iterator[Registration[T]]:
        return iter(self._items.values())

    def __contains__(self, name: str) -> bool:
        return name in self._items


def describe(plugin: Plugin) -> str:
    return f"{plugin.module} of {plugin.distribution}"


@attrs.define(slots=False)
class PluginManager:
    """Loads plugins when first asked for something, and keeps what they registered.

    A plugin that raises, does not fit its hooks, or registers what can't be used has failed: nothing of it is kept, it
    is reported, and the others go on. One that the user named is an error instead.
    """

    modules: tuple[str, ...] = ()
    """Modules named by the user."""

    @property
    def plugins(self) -> list[Plugin]:
        """Every plugin found, the failed ones too."""
        return self._loaded.plugins

    @property
    def failures(self) -> list[Plugin]:
        """Installed plugins that failed."""
        return [plugin for plugin in self.plugins if plugin.failure]

    @property
    def strategies(self) -> Registry[Any]:
        return self._loaded.registries["strategy"]

    @property
    def predictors(self) -> Registry[Any]:
        return self._loaded.registries["predictor"]

    @property
    def adapters(self) -> Registry[Any]:
        return self._loaded.registries["adapter"]

    @cached_property
    def metrics(self) -> Registry[Any]:
        """Asked for by themselves: they bring libraries that nothing else needs."""
        for plugin, module in [*self._loaded.modules.items()]:
            try:
                self._loaded.ask(plugin, module, [METRIC])
            except BaseException as error:  # as below
                if isinstance(error, KeyboardInterrupt) or plugin.module in self.modules:
                    raise
                failed = self._loaded.fail(plugin, error)
                warnings.warn(CachekitWarning(failed.report), stacklevel=2)
        return self._loaded.registries[METRIC]

    @property
    def models(self) -> Registry[Any]:
        return self._loaded.registries["model"]

    @cached_property
    def _loaded(self) -> Loaded:
        loaded = Loaded({kind: Registry(kind) for kind in HOOKS})
        for entry in installed():
            origin = f"{entry.dist.name} {entry.dist.version}" if entry.dist else "(unknown distribution)"
            plugin = Plugin(entry.name, entry.value, origin)
            try:
                loaded.add(plugin, entry.load())
            except BaseException as error:  # whatever a stranger's code raises, the other plugins go on
                if isinstance(error, KeyboardInterrupt):
                    raise
                loaded.fail(plugin, error)
        for name in self.modules:
            if any(plugin.module == name and not plugin.failure for plugin in loaded.plugins):
                continue
            plugin = Plugin(name, name, "(module)")
            module = import_named(name)
            try:
                loaded.add(plugin, module)
            except BaseException as error:  # as above
                if isinstance(error, KeyboardInterrupt) or describe(plugin) in str(error):
                    raise
                raise CachekitError(f"the plugin {describe(plugin)} failed: {told(error)}") from error
        return loaded


@attrs.define
class Loaded:
    """What all plugins registered, by kind."""

    registries: dict[str, Registry[Any]]
    plugins: list[Plugin] = attrs.field(factory=list)
    """All that were found, the failed ones too."""
    modules: dict[Plugin, types.ModuleType] = attrs.field(factory=dict)
    """Those that did not fail."""

    def add(self, plugin: Plugin, module: types.ModuleType) -> None:
        """Ask a plugin for all that it brings but metrics; where it fails, nothing of it stays."""
        self.ask(plugin, module, [kind for kind in HOOKS if kind != METRIC])
        self.plugins.append(plugin)
        self.modules[plugin] = module

    def fail(self, plugin: Plugin, error: BaseException) -> Plugin:
        """Note that a plugin failed; what it brought is no longer there."""
        failed = attrs.evolve(plugin, failure=told(error))
        self.modules.pop(plugin, None)
        self.plugins[:] = [*(known for known in self.plugins if known != plugin), failed]
        for registry in self.registries.values():
            registry.drop(plugin)
            registry.failures.append(failed)
        return failed

    def ask(self, plugin: Plugin, module: types.ModuleType, kinds: Iterable[str]) -> None:
        """Ask a plugin for what it brings of these kinds, and register it once all of it is known to be usable."""
        manager = pluggy.PluginManager(hooks.PROJECT)
        manager.add_hookspecs(hooks)
        try:
            manager.register(module, name=plugin.name)
            manager.check_pending()
        except pluggy.PluginValidationError as error:
            raise CachekitError(f"the plugin {describe(plugin)} does not fit the hooks: {error}") from error
        brought: list[tuple[str, Registration[Any]]] = []
        for kind in kinds:

            def register(name: str, value: type, profiles: object | None = None, kind: str = kind) -> None:
                self.registries[kind].check_free(plugin, name)
                if any(name == other.name and kind == of for of, other in brought):
                    raise CachekitError(f"the plugin {describe(plugin)} registers the {kind} {name!r} twice")
                check_registration(kind, name, value, profiles)
                brought.append((kind, Registration(name, value, plugin, profiles)))

            getattr(manager.hook, HOOKS[kind])(register=register)
        for kind, registration in brought:
            self.registries[kind].add(registration)


def installed() -> list[importlib.metadata.EntryPoint]:
    """The entry points of all plugins, cachekit's own first, so that a stranger's never takes a shipped name."""
    found = importlib.metadata.entry_points(group=hooks.PROJECT)
    return sorted(found, key=lambda entry: (entry.dist is None or entry.dist.name != OWN, entry.name, entry.value))


def told(error: BaseException) -> str:
    """What a stranger's code raised, in words."""
    if isinstance(error, CachekitError):
        return str(error)
    if isinstance(error, SystemExit):
        return f"it called sys.exit({error.code!r}), which a plugin must not"
    return f"{type(error).__name__}: {error}"


def import_named(name: str) -> types.ModuleType:
    """Import a module the user named as a plugin."""
    try:
        return importlib.import_module(name)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a stranger's module may raise anything at import, sys.exit too
        raise CachekitError(
            f"the plugin module {name!r} could not be imported ({told(error)}); "
            "check its name and that it is on the Python path"
        ) from error


def from_environment() -> tuple[str, ...]:
    """The modules that `CACHEKIT_PLUGINS=module,module` names."""
    return tuple(filter(None, (name.strip() for name in os.environ.get(ENVIRONMENT_VARIABLE, "").split(","))))


def get_plugins() -> PluginManager:
    """The plugins of this process: the installed ones, and those that `CACHEKIT_PLUGINS` names."""
    return _manager(from_environment())


def use_modules(modules: Iterable[str]) -> PluginManager:
    """Load these modules as plugins too, here and in processes started from here, as `--plugin` does."""
    named = dict.fromkeys((*from_environment(), *modules))
    for name in modules:
        if not all(part.isidentifier() for part in name.split(".")):
            raise CachekitError(f"the plugin module {name!r} could not be imported: that is no name of a module")
    os.environ[ENVIRONMENT_VARIABLE] = ",".join(named)
    return get_plugins()


@lru_cache
def _manager(modules: tuple[str, ...]) -> PluginManager:
    return PluginManager(modules)
