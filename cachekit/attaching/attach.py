"""`attach`: from names and values to a session, with everything that can't work refused here."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from cachekit.attaching.session import Session, check_count
from cachekit.errors import CachekitError
from cachekit.interface.adapter import Adapter
from cachekit.interface.predictor import Predictor
from cachekit.interface.strategy import Strategy, missing_measurements
from cachekit.profiles.profile import Profile, check_fits, choose_profile, load_folder, load_profile
from cachekit.registry.parameters import build, parse_spec
from cachekit.registry.plugins import PluginManager, get_plugins

if TYPE_CHECKING:
    from torch import nn


def attach(
    transformer: nn.Module,
    strategy: str | Strategy,
    *,
    steps: int,
    calls_per_step: int = 1,
    predictor: str | Predictor | None = None,
    adapter: str | Adapter | None = None,
    profile: str | os.PathLike[str] | Profile | None = None,
    **params: object,
) -> Session:
    """Attach a strategy to a transformer instance, until the session is detached.

    `strategy` is a registered name or a Strategy object; `steps` the denoising steps of a run; `calls_per_step` how
    often the pipeline calls the transformer in a step (2 where guidance makes two calls); `predictor` a name, a name
    with its fields (`"taylor:order=2"`) or a Predictor object, by default the strategy's; `adapter` a name or an
    Adapter object, by default the first that fits; `profile` a Profile or its file, by default the shipped one that
    fits the model; `params` the named strategy's fields, which go before the profile's values.

    Raises CachekitError, in one sentence, for whatever can't work.
    """
    plugins = get_plugins()
    check_count("steps", steps)
    check_count("calls_per_step", calls_per_step)
    chosen = resolve_adapter(transformer, adapter, plugins)
    if isinstance(strategy, Strategy):
        if params or profile is not None:
            raise CachekitError(
                "parameters and profiles go with a strategy's name; a Strategy object has its own: "
                f"make it as {type(strategy).__name__}(...)"
            )
        resolved = strategy
    else:
        name = type(transformer).__name__
        resolved = resolve_strategy(
            strategy, params, plugins, name, chosen.architecture(transformer), steps=steps, profile=profile
        )
    check_probes(resolved, chosen)
    return Session(
        transformer, chosen, resolved, resolve_predictor(predictor, resolved, plugins), steps, calls_per_step
    )


def resolve_strategy(
    name: str,
    params: Mapping[str, object],
    plugins: PluginManager,
    transformer: str,
    architecture: Mapping[str, object],
    *,
    steps: int,
    profile: str | os.PathLike[str] | Profile | None = None,
) -> Strategy:
    """The named strategy for a model of this class and these sizes: field defaults, then the profile, then `params`."""
    kind: type[Strategy] = plugins.strategies[name].value
    if profile is not None:
        given = profile if isinstance(profile, Profile) else load_profile(Path(profile))
        check_fits(given, name, transformer, architecture)
        measured = given.values
    else:
        found = choose_profile(all_profiles(plugins), name, architecture, steps)
        measured = found.values if found else {}
    build(kind, name, params)
    strategy = build(kind, name, {**measured, **params})
    missing = missing_measurements(strategy)
    if missing and profile is not None:
        raise CachekitError(
            f"the profile given for {name} has no {' and no '.join(missing)}, as this version's have; "
            f"measure it anew with `cachekit calibrate {name}`"
        )
    if missing:
        raise CachekitError(
            f"{name} needs {' and '.join(missing)}, and no profile of it fits this {transformer}; "
            f"measure one with `cachekit calibrate {name}`, or give {missing[0]}= yourself"
        )
    return strategy


def resolve_predictor(predictor: str | Predictor | None, strategy: Strategy, plugins: PluginManager) -> Predictor:
    """The predictor asked for, or the strategy's own."""
    if isinstance(predictor, Predictor):
        return predictor
    name, settings = parse_spec(predictor if predictor is not None else strategy.predictor)
    kind: type[Predictor] = plugins.predictors[name].value
    return build(kind, name, settings)


def resolve_adapter(transformer: nn.Module, adapter: str | Adapter | None, plugins: PluginManager) -> Adapter:
    """The adapter asked for, or the first registered one that fits."""
    if isinstance(adapter, Adapter):
        return adapter
    if adapter is not None:
        kind: type[Adapter] = plugins.adapters[adapter].value
        if not kind.fits(transformer):
            raise CachekitError(f"the adapter {adapter!r} does not fit a {type(transformer).__name__}")
        return kind()
    for registration in plugins.adapters:
        if registration.value.fits(transformer):
            return registration.value()
    known = ", ".join(registration.name for registration in plugins.adapters) or "none"
    raise CachekitError(
        f"no adapter fits a {type(transformer).__name__}; there are {known}; "
        "write one by subclassing cachekit.Adapter and give it as `adapter=`"
    )


def check_probes(strategy: Strategy, adapter: Adapter) -> None:
    """Refuse a strategy that asks for a probe the adapter lacks."""
    lacking = [probe for probe in strategy.probes if probe not in adapter.probes]
    if lacking:
        raise CachekitError(
            f"{type(strategy).__name__} asks for the probe {lacking[0]!r}, which {type(adapter).__name__} does not "
            f"offer (it has {', '.join(adapter.probes) or 'none'}); choose another strategy for this model"
        )


def all_profiles(plugins: PluginManager) -> Iterator[Profile]:
    """Every profile that came with a strategy or with a model."""
    for registration in (*plugins.models, *plugins.strategies):
        if registration.profiles is not None:
            yield from load_folder(registration.profiles)
