"""The interface of models: what `cachekit run` needs to make a video from a prompt with any of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, ClassVar

import attrs

from cachekit.errors import CachekitError
from cachekit.interface.conditions import Conditions

if TYPE_CHECKING:
    import torch
    from torch import nn

    from cachekit.interface.predictor import Predictor
    from cachekit.interface.strategy import Strategy


class Pipeline(ABC):
    """A loaded model: text encoder, transformer, sampler and decoder, in the three stages that `run` times."""

    transformer: nn.Module
    """What a strategy is attached to."""
    calls_per_step: int = 1
    """Calls of the transformer in a denoising step."""
    guidance_in_batch: bool = False
    """Whether a call's batch holds both guidance branches, the captions' half first."""
    euler: bool = False
    """Whether its sampler makes Euler steps along a flow (`Run.euler`)."""
    fps: float
    """Frames a second of its videos."""

    def attach(self, strategy: Strategy, predictor: Predictor) -> AbstractContextManager[Any] | None:
        """The strategy at work on all of this model, with its `trace`, until the context ends.

        None for a pipeline whose one transformer is simply attached to.
        """
        return None

    def conditions(self, *, steps: int, guidance_scale: float) -> Conditions:
        """The conditions of this pipeline's runs, for calibrators."""
        return Conditions(
            steps=steps,
            timesteps=self.timesteps(steps),
            calls_per_step=self.calls_per_step,
            guidance_scale=guidance_scale,
            guidance_in_batch=self.guidance_in_batch,
        )

    def stage_seconds(self) -> tuple[float, float, float] | None:
        """What text, denoising and decoding of the last generation took, where `denoise` does them all in one call.

        None where each method does its own stage, so that its caller can time it.
        """
        return None

    def check_prompt(self, prompt: str) -> list[str]:
        """Warnings about a prompt, before anything runs; raises CachekitError where it can't be used."""
        return []

    @property
    def transformers(self) -> tuple[nn.Module, ...]:
        """All of its transformers, where a run's steps are shared out among several."""
        return (self.transformer,)

    @abstractmethod
    def timesteps(self, steps: int) -> tuple[float, ...]:
        """The timestep that the transformer is given at each of `steps` steps."""

    @abstractmethod
    def encode_text(self, prompt: str) -> object:
        """What `denoise` takes for this prompt."""

    @abstractmethod
    def denoise(
        self,
        text: object,
        *,
        seed: int,
        steps: int,
        guidance_scale: float,
        on_step: Callable[[int], None] | None = None,
    ) -> torch.Tensor:
        """Latents made in `steps` steps from the noise of `seed`; `on_step` is told the number of steps done.

        The same arguments give the same latents.
        """

    def resampled(self, *, spacing: float | None = None, solver: str | None = None) -> Pipeline:
        """This pipeline, its parts shared, with timesteps spaced so and this solver (None for its model's plain ones).

        CachekitError where its sampler has no such options.
        """
        raise CachekitError(
            f"{type(self).__name__} can't space its timesteps or solve otherwise; for a diffusers pipeline that is "
            "its scheduler's"
        )

    def peak_memory_bytes(self) -> int | None:
        """The most memory used so far, of the GPU where it runs there; None where the model does not count it."""
        return None

    @abstractmethod
    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """Frames `[T, H, W, 3]`, uint8, on the CPU."""


@attrs.define
class Model(ABC):
    """A model by name: an attrs class whose fields are its options (`--model name:field=value`)."""

    transformer_class: ClassVar[str]
    """Class name of its transformer, as profiles name it."""
    steps: ClassVar[int]
    """Denoising steps of a run unless the caller says otherwise."""
    guidance_scale: ClassVar[float]
    example_prompts: ClassVar[tuple[str, ...]]
    """What `run` makes where no prompt is given."""
    calibration_prompts: ClassVar[tuple[str, ...]] = ()
    """What `calibrate` and `tune` watch where no prompt is given; empty for the example prompts."""
    sampler: ClassVar[str]
    """Name of the sampler, as profiles name it."""
    dtype: ClassVar[str] = "float32"
    """Name of the torch dtype it runs in unless the caller says otherwise."""
    images: ClassVar[bool] = False
    """Whether it makes pictures: one frame each, written as PNG."""

    @property
    def euler(self) -> bool:
        """Whether its sampler makes Euler steps along a flow (`Run.euler`)."""
        return False

    @abstractmethod
    def architecture(self) -> dict[str, object]:
        """What the adapter would read off its transformer, without loading it."""

    def traits(self) -> dict[str, object]:
        """What tells it from other models of its sizes, as an adapter's `traits` do; known without loading it."""
        return {"transformer": self.transformer_class}

    @abstractmethod
    def timesteps(self, steps: int) -> tuple[float, ...]:
        """The timestep of each step, without loading the model."""

    @abstractmethod
    def load(self, *, device: str, dtype: str | None) -> Pipeline:
        """Load it onto a torch device; `dtype` is a torch dtype's name, None for the model's own choice."""
