"""From the words of a command line to the model, strategy and predictor that they mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs
import click

from cachekit.attaching.attach import resolve_predictor, resolve_strategy
from cachekit.cli.options import ModelWords, SamplingWords
from cachekit.cli.sharing import use_local_gpu
from cachekit.errors import CachekitError
from cachekit.files.text import plain
from cachekit.generation.checked_model import architecture_of, check_model, loaded, timesteps_of
from cachekit.generation.generate import Cache
from cachekit.generation.manifest import Setting
from cachekit.generation.video import PICTURE
from cachekit.interface.guard import asking
from cachekit.interface.model import Model, Pipeline
from cachekit.interface.strategy import UNCACHED
from cachekit.registry.parameters import as_json, build, parameter_values, parse_spec, public_fields
from cachekit.registry.plugins import PluginManager

DEFAULT_MODEL = "opensora-mini"


@attrs.frozen
class ChosenModel:
    """A model with its options."""

    name: str
    model: Model

    @property
    def options(self) -> dict[str, object]:
        """Its options that are set, for a manifest."""
        values = {field.name: getattr(self.model, field.name) for field in public_fields(type(self.model))}
        return {name: value for name, value in values.items() if value is not None}


def choose_model(spec: str, plugins: PluginManager, extra: Mapping[str, object]) -> ChosenModel:
    """The model that `name:field=value` means, with `extra` options where they are not None."""
    name, settings = parse_spec(spec)
    kind: type[Model] = plugins.models[name].value
    options = {key: value for key, value in extra.items() if value is not None and value is not False}
    known = {field.name for field in public_fields(kind)}
    if "arguments" in settings and "arguments" not in known:
        raise CachekitError(f"--pipeline-arg is for diffusers pipelines, and the model {name!r} is none; leave it out")
    for key in options:
        if key not in known:
            raise CachekitError(f"the model {name!r} has no option --{key}; leave it out")
    model = build(kind, name, {**settings, **options})
    check_model(model, name)
    chosen = ChosenModel(name, model)
    as_json(chosen.options)
    return chosen


def choose_asked(model: ModelWords, sampling: SamplingWords, plugins: PluginManager) -> ChosenModel:
    """The model that the shared options name, with what of them are its own options."""
    extra = {
        "weights": model.weights,
        "offload": model.offload,
        "spacing": sampling.spacing,
        "solver": sampling.solver,
    }
    return choose_model(model.model_spec, plugins, extra)


def choose_cache(
    strategy: str,
    settings: Mapping[str, object],
    predictor: str | None,
    profile: str | None,
    chosen: ChosenModel,
    steps: int,
    plugins: PluginManager,
) -> Cache | None:
    """The strategy and predictor meant, checked against the model as far as that goes before loading it.

    None for the strategy `none`, whose runs are the bare model's.
    """
    name, own = parse_spec(strategy)
    twice = sorted(set(own) & set(settings))
    if twice:
        raise CachekitError(f"the parameter {twice[0]!r} is set twice; set it once")
    model = chosen.model
    resolved = resolve_strategy(
        name,
        {**own, **settings},
        plugins,
        model.transformer_class,
        architecture_of(model),
        steps=steps,
        profile=profile,
        traits=model.traits(),
    )
    if name == UNCACHED:
        if predictor is not None:
            raise CachekitError("the strategy 'none' skips nothing, so it takes no --predictor; leave it out")
        return None
    cache = Cache(resolved, resolve_predictor(predictor, resolved, plugins), model.euler)
    for part in (cache.strategy, cache.predictor):
        as_json(parameter_values(part))
    cache.plan(steps, timesteps_of(model, steps))
    return cache


def choose_device(device: str) -> str:
    """`auto` is cuda where there is one; of several GPUs a launcher's `LOCAL_RANK` chooses."""
    import torch

    available = torch.cuda.is_available()
    if device == "cuda" and not available:
        raise CachekitError("--device cuda was asked for, but torch sees no GPU; use --device cpu")
    chosen = ("cuda" if available else "cpu") if device == "auto" else device
    if chosen == "cuda":
        use_local_gpu()
    return chosen


def uncached_setting(
    chosen: ChosenModel,
    *,
    steps: int | None,
    guidance_scale: float | None,
    device: str,
    dtype: str | None,
    video_format: str,
) -> Setting:
    """How the uncached model's videos are made, with the model's defaults where an option was left out.

    `device` is what `choose_device` chose, or what the workers of a cluster have.
    """
    model = chosen.model
    return Setting(
        model=chosen.name,
        model_options=as_json(chosen.options),
        strategy=UNCACHED,
        predictor=None,
        params={},
        steps=steps or model.steps,
        guidance_scale=model.guidance_scale if guidance_scale is None else guidance_scale,
        device=device,
        dtype=dtype or model.dtype,
        format=PICTURE if model.images else video_format,
    )


def load_pipeline(model: Model, prompts: Sequence[str], *, device: str, dtype: str) -> Pipeline:
    """Load the model and look at the prompts before anything runs, each warning shown once."""
    pipeline = loaded(model, device=device, dtype=dtype)
    with asking(pipeline, "check_prompt"):
        warnings = dict.fromkeys(line for prompt in dict.fromkeys(prompts) for line in pipeline.check_prompt(prompt))
    for warning in warnings:
        click.echo(f"cachekit: warning: {plain(warning)}", err=True)
    return pipeline
