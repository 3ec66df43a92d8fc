"""`attach`: from names and values to a session, with everything that can't work refused here."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from cachekit.attaching.interception import standing_before
from cachekit.attaching.session import Session, check_count
from cachekit.errors import CachekitError, CachekitWarning
from cachekit.interface.adapter import Adapter
from cachekit.interface.predictor import Predictor
from cachekit.interface.strategy import Strategy, missing_measurements
from cachekit.profiles.profile import Profile, check_fits, load_folder, load_profile, surest_profile
from cachekit.registry.parameters import build, parse_spec
from cachekit.registry.plugins import PluginManager, get_plugins

if TYPE_CHECKING:
    from torch import nn
    from torch.distributed import ProcessGroup


def attach(
    transformer: nn.Module,
    strategy: str | Strategy,
    *,
    steps: int,
    calls_per_step: int | None = None,
    predictor: str | Predictor | None = None,
    adapter: str | Adapter | None = None,
    profile: str | os.PathLike[str] | Profile | None = None,
    group: ProcessGroup | None = None,
    watch: bool = True,
    **params: object,
) -> Session:
    """Attach a strategy to a transformer instance, until the session is detached.

    `strategy` is a registered name or a Strategy object; `steps` the denoising steps of a run; `calls_per_step` how
    often the pipeline calls the transformer in a step, None where that is to be found by itself (calls at one timestep
    are one step's); `predictor` a name, a name with its fields (`"taylor:order=2"`) or a Predictor object, by default
    the strategy's; `adapter` a name or an Adapter object, by default the first that fits; `profile` a Profile or its
    file, by default the shipped one that fits the model; `group` the torch process group whose ranks share the tokens
    of one generation; `watch=False` reads no timestep: calls are counted, and runs are begun with `Session.reset`;
    `params` the named strategy's fields, which go before the profile's values.

    Raises CachekitError, in one sentence, for whatever can't work.
    """
    plugins = get_plugins()
    check_count("steps", steps)
    if calls_per_step is not None:
        check_count("calls_per_step", calls_per_step)
    transformer = inside(transformer)
    chosen = resolve_adapter(transformer, adapter, plugins)
    if isinstance(strategy, Strategy):
        if params or profile is not None:
            raise CachekitError(
                "parameters and profiles go with a strategy's name; a Strategy object has its own: "
                f"make it as {type(strategy).__name__}(...)"
            )
        resolved = strategy
    elif not isinstance(strategy, str):
        raise not_an_object("strategy", strategy)
    else:
        resolved = resolve_strategy(
            strategy,
            params,
            plugins,
            type(transformer).__name__,
            chosen.architecture(transformer),
            steps=steps,
            profile=profile,
            traits=chosen.traits(transformer),
        )
    check_group(group)
    answering = resolve_predictor(predictor, resolved, plugins)
    return Session(transformer, chosen, resolved, answering, steps, calls_per_step, watch=watch, group=group)


def detach(transformer: nn.Module) -> None:
    """End the session that is attached to this transformer, whoever holds it; CachekitError where there is none."""
    standing = standing_before(inside(transformer))
    if standing is None or not isinstance(standing.owner, Session):
        raise CachekitError(f"no session is attached to this {type(transformer).__name__}")
    standing.owner.detach()


def inside(transformer: nn.Module) -> nn.Module:
    """The transformer itself, where it is given as `torch.compile` wrapped it."""
    if isinstance(transformer, type) or not hasattr(transformer, "forward"):
        raise CachekitError(
            f"a strategy is attached to a transformer, a torch.nn.Module, not to {transformer!r}; "
            "of a pipeline, give its `transformer`"
        )
    original: nn.Module = getattr(transformer, "_orig_mod", transformer)
    return original


def resolve_strategy(
    name: str,
    params: Mapping[str, object],
    plugins: PluginManager,
    transformer: str,
    architecture: Mapping[str, object],
    *,
    steps: int,
    profile: str | os.PathLike[str] | Profile | None = None,
    traits: Mapping[str, object] | None = None,
) -> Strategy:
    """The named strategy for a model of this class and these sizes: field defaults, then the profile, then `params`.

    `traits` are what else is known of the model; where a profile was found that they leave in doubt, that is warned of.
    """
    kind: type[Strategy] = plugins.strategies[name].value
    if profile is not None:
        if not isinstance(profile, (str, os.PathLike, Profile)):
            raise CachekitError(f"the profile must be a file's path or a Profile object, not {profile!r}")
        given = profile if isinstance(profile, Profile) else load_profile(Path(profile))
        check_fits(given, name, transformer, architecture)
        taken: Profile | None = given
    else:
        taken, doubt = surest_profile(all_profiles(plugins), name, architecture, steps, traits or {})
        if taken is not None and doubt and not set(taken.values) <= set(params):
            warnings.warn(
                f"the profile of {taken.model.name or taken.model.transformer} was taken for {name}, since the sizes "
                f"are the same, but {doubt}; measure one on this model with `cachekit calibrate {name}` or "
                "`cachekit.calibrating(pipe, ...)`, and give it as `profile=`",
                CachekitWarning,
                stacklevel=3,
            )
    measured = taken.values if taken else {}
    build(kind, name, params)
    strategy = build(kind, name, {**measured, **params})
    if taken and not set(measured) <= set(params):
        strategy.__dict__["measured_steps"] = taken.steps
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
    if predictor is not None and not isinstance(predictor, str):
        raise not_an_object("predictor", predictor)
    name, settings = parse_spec(predictor if predictor is not None else strategy.predictor)
    kind: type[Predictor] = plugins.predictors[name].value
    return build(kind, name, settings)


def resolve_adapter(transformer: nn.Module, adapter: str | Adapter | None, plugins: PluginManager) -> Adapter:
    """The adapter asked for, or the first registered one that fits."""
    if isinstance(adapter, Adapter):
        return adapter
    if adapter is not None and not isinstance(adapter, str):
        raise not_an_object("adapter", adapter)
    if adapter is not None:
        kind: type[Adapter] = plugins.adapters[adapter].value
        if not kind.fits(transformer):
            raise CachekitError(f"the adapter {adapter!r} does not fit a {type(transformer).__name__}")
        return kind()
    for registration in plugins.adapters:
        if registration.value.fits(transformer):
            return registration.value()
    for registration in plugins.adapters:
        reason = registration.value.refusal(transformer)
        if reason is not None:
            raise CachekitError(reason)
    known = ", ".join(registration.name for registration in plugins.adapters) or "none"
    raise CachekitError(
        f"no adapter fits a {type(transformer).__name__}; there are {known}; "
        "write one by subclassing cachekit.Adapter and give it as `adapter=`"
    )


def not_an_object(kind: str, given: object) -> CachekitError:
    """The error for what is neither a name nor an object of the kind; a class most of all."""
    if isinstance(given, type):
        return CachekitError(
            f"the {kind} must be a registered name or an object, but {given.__name__} is a class; "
            f"give {given.__name__}()"
        )
    return CachekitError(f"the {kind} must be a registered name or an object of its class, not {given!r}")


def check_group(group: object) -> None:
    """Refuse what is no group of processes, such as the device mesh that one belongs to."""
    from torch import distributed

    if group is None or (distributed.is_available() and isinstance(group, distributed.ProcessGroup)):
        return
    raise CachekitError(
        f"group must be a torch.distributed.ProcessGroup, as `new_group` or a device mesh's `get_group()` gives, not "
        f"{group!r}"
    )


def all_profiles(plugins: PluginManager) -> Iterator[Profile]:
    """Every profile that came with a strategy or with a model."""
    for registration in (*plugins.models, *plugins.strategies):
        if registration.profiles is not None:
            yield from load_folder(registration.profiles)
