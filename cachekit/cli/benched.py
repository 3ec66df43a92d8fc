"""What `cachekit bench` times: a model's single steps, and its denoising loop under a strategy."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import TYPE_CHECKING, Any

import attrs
import torch

from cachekit.attaching.benchmark import Planned, first_call
from cachekit.cli.choices import DEFAULT_MODEL, ChosenModel, choose_cache, choose_model
from cachekit.errors import CachekitError
from cachekit.generation.checked_model import loaded, timesteps_of
from cachekit.generation.generate import Cache, attach_cache
from cachekit.interface.strategy import COMPUTED, SKIPPED
from cachekit.opensora.stdit3 import STDiT3, STDiT3Config
from cachekit.registry.plugins import get_plugins

if TYPE_CHECKING:
    from torch import nn

    from cachekit.interface.model import Pipeline

Steps = Callable[["nn.Module"], object]
"""A guided step of a transformer, or of it compiled."""

SHORT, LONG = 1, 5
"""Frames of a random model's computed step, where many short ones tell more than few long ones, and of a skipped step,
which takes so little time that a whole one may be as long as any."""


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
    computing: Steps
    skipping: Steps
    """As `computing`, or on longer latents, since a skipped step is so short."""
    small: tuple[nn.Module, Steps]
    """A transformer of the same kind, and a step of it, to see what predictors hold beside a residual."""
    whole_graph: bool
    """Whether its transformer compiles as one graph."""
    loop: Callable[[], Loop]
    """Loads what the loop needs that the steps do not."""


def shipped(device: str) -> Subject:
    """A random STDiT3 for single steps, and opensora-mini under MagCache for the loop."""
    return Subject(
        "STDiT3 of hidden 384, depth 4",
        random_stdit3(device),
        guided_call(device, frames=SHORT),
        guided_call(device, frames=LONG),
        (random_stdit3(device, hidden=48, depth=1), guided_call(device, frames=SHORT)),
        True,
        partial(mini_loop, device),
    )


def mini_loop(device: str) -> Loop:
    """opensora-mini's loop under MagCache."""
    plugins = get_plugins()
    chosen = choose_model(DEFAULT_MODEL, plugins, {})
    steps = chosen.model.steps
    cache = choose_cache("magcache", {}, None, None, chosen, steps, plugins)
    assert cache is not None
    pipeline = chosen.model.load(device=device, dtype=None)
    return loop_of(f"MagCache run of {DEFAULT_MODEL}", chosen, pipeline, cache, steps)


def of_model(chosen: ChosenModel, *, device: str, dtype: str | None, steps: int | None) -> Subject:
    """A model's own transformer, called as its runs call it, and a run of it with every other step skipped."""
    model = chosen.model
    count = steps or model.steps
    pipeline = loaded(model, device=device, dtype=dtype or model.dtype)
    plugins = get_plugins()
    every_other = ((COMPUTED + SKIPPED) * count)[:count]
    cache = Cache(Planned(every_other), plugins.predictors["reuse"].value())
    loop = loop_of(f"run of {chosen.name}", chosen, pipeline, cache, count)
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
    small = (transformer, step)
    return Subject(title, transformer, step, step, small, False, lambda: loop)


def loop_of(title: str, chosen: ChosenModel, pipeline: Pipeline, cache: Cache, steps: int) -> Loop:
    """The model's loop on its first example prompt."""
    text = pipeline.encode_text(chosen.model.example_prompts[0])
    guidance = chosen.model.guidance_scale
    return Loop(
        title,
        pipeline.transformers,
        partial(pipeline.denoise, text, seed=0, steps=steps, guidance_scale=guidance),
        partial(attach_cache, pipeline, cache, steps),
        cache.plan(steps, timesteps_of(chosen.model, steps)) or "",
    )


def random_stdit3(device: str, *, hidden: int = 384, depth: int = 4) -> STDiT3:
    """A seeded STDiT3."""
    torch.manual_seed(0)
    config = STDiT3Config(hidden_size=hidden, depth=depth, num_heads=6, caption_channels=64, model_max_length=32)
    return STDiT3(config).eval().requires_grad_(False).to(device)


def guided_call(device: str, *, frames: int) -> Callable[[nn.Module], object]:
    """A call with latents `[2, 4, frames, 16, 16]`, which are twice 64 tokens a frame; its timestep falls each time."""
    generator = torch.Generator().manual_seed(0)
    side = torch.full((2,), 128.0, device=device)
    inputs: dict[str, torch.Tensor] = {
        "x": torch.randn(2, 4, frames, 16, 16, generator=generator).to(device),
        "timestep": torch.full((2,), 1000.0, device=device),
        "y": torch.randn(2, 1, 32, 64, generator=generator).to(device),
        "fps": torch.full((2,), 24.0, device=device),
        "height": side,
        "width": side,
    }

    def call(model: nn.Module) -> object:
        inputs["timestep"] *= 0.999
        with torch.no_grad():
            output = model(**inputs)
        if output.is_cuda:
            torch.cuda.synchronize()
        return output

    return call
