"""Finding plugins and what they register: entry points, `--plugin module` and `CACHEKIT_PLUGINS`."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import types
from collections.abc import Iterable, Iterator
from functools import cached_property, lru_cache
from typing import Any, Generic, TypeVar

import attrs
import pluggy

from cachekit.errors import CachekitError, unknown
from cachekit.interface import hooks

ENVIRONMENT_VARIABLE = "CACHEKIT_PLUGINS"

T = TypeVar("T")


@attrs.frozen
class Plugin:
    """A module that was asked to register things, and where it came from."""

    name: str
    module: str
    distribution: str
    """`cachekit-dit 0.1.0`; `(module)` where it was named rather than installed."""
    failure: str | None = None
    """Why it could not be imported; None where it could."""


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

    def add(self, plugin: Plugin, name: str, value: type[T], profiles: object | None = None) -> None:
        taken = self._items.get(name)
        if taken is not None:
            raise CachekitError(
                f"the {self.kind} name {name!r} is registered twice, by {describe(taken.plugin)} and by "
                f"{describe(plugin)}; uninstall or rename one of them"
            )
        self._items[name] = Registration(name, value, plugin, profiles)

    def __getitem__(self, name: str) -> Registration[T]:
        try:
            return self._items[name]
        except KeyError:
            raise unknown(self.kind, name, self._items) from None

    def __iter__(self) -> Iterator[Registration[T]]:
        return iter(self._items.values())

    def __contains__(self, name: str) -> bool:
        return name in self._items


def describe(plugin: Plugin) -> str:
    return f"{plugin.module} of {plugin.distribution}"


@attrs.define(slots=False)
class PluginManager:
    """Loads plugins when first asked for something, and keeps what they registered."""

    modules: tuple[str, ...] = ()
    """Modules named by the user: one that fails to import is an error, not a report."""

    @cached_property
    def plugins(self) -> list[Plugin]:
        """Every plugin found, the failed ones too."""
        return list(self._loaded)

    @cached_property
    def failures(self) -> list[Plugin]:
        """Installed plugins that could not be imported."""
        return [plugin for plugin in self._loaded if plugin.failure]

    @cached_property
    def strategies(self) -> Registry[Any]:
        return self._collect("strategy", "cachekit_strategies")

    @cached_property
    def predictors(self) -> Registry[Any]:
        return self._collect("predictor", "cachekit_predictors")

    @cached_property
    def adapters(self) -> Registry[Any]:
        return self._collect("adapter", "cachekit_adapters")

    @cached_property
    def metrics(self) -> Registry[Any]:
        return self._collect("metric", "cachekit_metrics")

    @cached_property
    def models(self) -> Registry[Any]:
        return self._collect("model", "cachekit_models")

    @cached_property
    def _loaded(self) -> dict[Plugin, types.ModuleType | None]:
        loaded: dict[Plugin, types.ModuleType | None] = {}
        for entry in sorted(importlib.metadata.entry_points(group=hooks.PROJECT), key=lambda entry: entry.name):
            origin = f"{entry.dist.name} {entry.dist.version}" if entry.dist else "(unknown distribution)"
            try:
                module = entry.load()
            except Exception as error:  # whatever a stranger's import raises, the other plugins go on
                failure = f"{type(error).__name__}: {error}"
                loaded[Plugin(entry.name, entry.value, origin, failure)] = None
            else:
                loaded[Plugin(entry.name, entry.value, origin)] = module
        for name in self.modules:
            if not any(plugin.module == name for plugin in loaded):
                loaded[Plugin(name, name, "(module)")] = import_named(name)
        return loaded

    def _collect(self, kind: str, hook: str) -> Registry[Any]:
        registry: Registry[Any] = Registry(kind)
        for plugin, module in self._loaded.items():
            if module is None:
                continue
            manager = pluggy.PluginManager(hooks.PROJECT)
            manager.add_hookspecs(hooks)
            try:
                manager.register(module, name=plugin.name)
                manager.check_pending()
            except pluggy.PluginValidationError as error:
                raise CachekitError(f"the plugin {describe(plugin)} does not fit the hooks: {error}") from error

            def register(name: str, value: type, profiles: object | None = None, plugin: Plugin = plugin) -> None:
                registry.add(plugin, name, value, profiles)

            getattr(manager.hook, hook)(register=register)
        return registry


def import_named(name: str) -> types.ModuleType:
    """Import a module the user named as a plugin."""
    try:
        return importlib.import_module(name)
    except Exception as error:  # a stranger's module may raise anything at import
        raise CachekitError(
            f"the plugin module {name!r} could not be imported ({type(error).__name__}: {error}); "
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
    os.environ[ENVIRONMENT_VARIABLE] = ",".join(named)
    return get_plugins()


@lru_cache
def _manager(modules: tuple[str, ...]) -> PluginManager:
    return PluginManager(modules)
