"""The hooks through which plugins, the shipped ones too, register what they bring.

The plugin manager calls each hook once, when something is first looked up; return values are ignored. `register`
refuses a name that is taken, naming both plugins.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import pluggy

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

    from cachekit.interface.adapter import Adapter
    from cachekit.interface.model import Model
    from cachekit.interface.predictor import Predictor
    from cachekit.interface.strategy import Strategy

PROJECT = "cachekit"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


class RegisterStrategy(Protocol):
    def __call__(self, name: str, strategy: type[Strategy], *, profiles: Traversable | None = None) -> None: ...


class RegisterPredictor(Protocol):
    def __call__(self, name: str, predictor: type[Predictor]) -> None: ...


class RegisterAdapter(Protocol):
    def __call__(self, name: str, adapter: type[Adapter]) -> None: ...


class RegisterMetric(Protocol):
    def __call__(self, name: str, metric: type) -> None: ...


class RegisterModel(Protocol):
    def __call__(self, name: str, model: type[Model], *, profiles: Traversable | None = None) -> None: ...


@hookspec
def cachekit_strategies(register: RegisterStrategy) -> None:
    """Register strategies: `register("name", StrategyClass)`; `profiles` is a folder of published profiles (JSON)."""


@hookspec
def cachekit_predictors(register: RegisterPredictor) -> None:
    """Register predictors: `register("name", PredictorClass)`."""


@hookspec
def cachekit_adapters(register: RegisterAdapter) -> None:
    """Register adapters: `register("name", AdapterClass)`; at `attach` the first that fits the transformer is taken."""


@hookspec
def cachekit_metrics(register: RegisterMetric) -> None:
    """Register metrics for `cachekit eval`: `register("name", MetricClass)`."""


@hookspec
def cachekit_models(register: RegisterModel) -> None:
    """Register models for `cachekit run`: `register("name", ModelClass)`; `profiles` is a folder measured on it."""
