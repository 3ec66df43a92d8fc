"""What `cachekit bench` times: a model's single steps, and its denoising loop under a strategy."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import TYPE_CHECKING, Any

import attrs
import torch

from cachekit.attaching.benchmark import Alternate, first_call
from cachekit.cli.choices import DEFAULT_MODEL, ChosenModel, choose_cache, choose_model
from cachekit.errors import CachekitError
from cachekit.generation.checked_model import loaded, timesteps_of
from cachekit.generation.generate import Cache, attach_cache
from cachekit.opensora.stdit3 import STDiT3, STDiT3Config
from cachekit.registry.plugins import get_plugins

if TYPE_CHECKING:
    from torch import nn

    from cachekit.interface.model import Pipeline

Steps = Callable[["nn.Module"], object]
"""A guided step of a transformer, or of it compiled."""


@attrs.frozen
class Loop:
    """A denoising loop, and the strategy that it is timed under."""

    title: str
    transformers: tuple[nn.Module, ...]
    run: Callable[[], object]
    attached: Callable[[], AbstractContextManager[Any]]
    pattern: str


@attrs.frozen
class Subject:
    """What is timed."""

    title: str
    transformer: nn.Module
    step: Steps
    whole_graph: bool
    """Whether its transformer compiles as one graph."""
    loop: Loop


def shipped(device: str) -> Subject:
    """A random STDiT3 for single steps, and opensora-mini under MagCache for the loop."""
    transformer, step = random_stdit3(device)
    plugins = get_plugins()
    chosen = choose_model(DEFAULT_MODEL, plugins, {})
    steps = chosen.model.steps
    cache = choose_cache("magcache", {}, None, None, chosen, steps, plugins)
    assert cache is not None
    loop = loop_of(chosen, chosen.model.load(device=device, dtype=None), cache, steps)
    return Subject(
        "STDiT3 of hidden 384, depth 12",
        transformer,
        step,
        True,
        attrs.evolve(loop, title=f"MagCache run of {DEFAULT_MODEL}"),
    )


def of_model(chosen: ChosenModel, *, device: str, dtype: str | None, steps: int | None) -> Subject:
    """A model's own transformer, called as its runs call it, and a run of it with every other step skipped."""
    model = chosen.model
    count = steps or model.steps
    pipeline = loaded(model, device=device, dtype=dtype or model.dtype)
    plugins = get_plugins()
    cache = Cache(Alternate(), plugins.predictors["reuse"].value())
    loop = loop_of(chosen, pipeline, cache, count)
    transformer = pipeline.transformer
    try:
        args, kwargs = first_call(transformer, loop.run)
    except CachekitError:
        raise
    except Exception as error:  # of a stranger's pipeline
        raise CachekitError(f"a run of {chosen.name} failed ({type(error).__name__}: {error})") from error

    def step(module: nn.Module) -> object:
        with torch.no_grad():
            returned = module(*args, **kwargs)
        if device == "cuda":
            torch.cuda.synchronize()
        return returned

    title = f"{type(transformer).__name__} of {chosen.name}"
    return Subject(title, transformer, step, False, attrs.evolve(loop, title=f"run of {chosen.name}"))


def loop_of(chosen: ChosenModel, pipeline: Pipeline, cache: Cache, steps: int) -> Loop:
    """The model's loop on its first example prompt."""
    text = pipeline.encode_text(chosen.model.example_prompts[0])
    guidance = chosen.model.guidance_scale
    return Loop(
        "",
        pipeline.transformers,
        partial(pipeline.denoise, text, seed=0, steps=steps, guidance_scale=guidance),
        partial(attach_cache, pipeline, cache, steps),
        cache.plan(steps, timesteps_of(chosen.model, steps)) or "",
    )


def random_stdit3(device: str) -> tuple[STDiT3, Steps]:
    """A seeded STDiT3 and a guided call of it, or of it compiled: latents `[2, 4, 5, 16, 16]`, so 320 tokens each."""
    torch.manual_seed(0)
    config = STDiT3Config(hidden_size=384, depth=12, num_heads=6, caption_channels=64, model_max_length=32)
    transformer = STDiT3(config).eval().requires_grad_(False).to(device)
    side = torch.full((2,), 128.0, device=device)
    inputs: dict[str, torch.Tensor] = {
        "x": torch.randn(2, 4, 5, 16, 16, device=device),
        "timestep": torch.full((2,), 500.0, device=device),
        "y": torch.randn(2, 1, 32, 64, device=device),
        "fps": torch.full((2,), 24.0, device=device),
        "height": side,
        "width": side,
    }

    def call(model: nn.Module) -> object:
        with torch.no_grad():
            output = model(**inputs)
        if output.is_cuda:
            torch.cuda.synchronize()
        return output

    return transformer, call
