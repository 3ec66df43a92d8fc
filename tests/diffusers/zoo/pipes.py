"""What every pipeline of the zoo is made of: a pipeline of small parts, and how it is called."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import attrs
import torch

from zoo.parts import seeded

Arguments = dict[str, Any]


@attrs.frozen
class SmallPipeline:
    """A pipeline of diffusers made small, with prompt embeddings in place of a tokenizer."""

    make: Callable[[], Any]
    call: Callable[[int], Arguments]
    """What it is called with at size 1 or at size 2 (more pixels), guided."""
    unguided: Arguments | None = attrs.field(factory=lambda: {"guidance_scale": 1.0})
    """What to say for no guidance; None where it knows none."""
    calls: tuple[int, int] | None = (2, 1)
    """Calls of the transformer at a step, guided and not; None where not every step has as many."""
    transformers: tuple[str, ...] = ("transformer",)
    steps_name: str = "num_inference_steps"
    latent: str | None = "latent"
    """The output type that decodes nothing; None where it can't be said."""
    evaluations: Callable[[int], int] = attrs.field(default=lambda steps: steps)
    """The evaluations that so many steps make: fewer in image-to-image, more with a sampler of second order."""

    def run(
        self, pipe: Any, *, steps: int = 6, size: int = 1, guided: bool = True, seed: int = 0, **more: object
    ) -> torch.Tensor:
        """What the pipeline makes, as one tensor."""
        with seeded(seed):
            arguments = self.call(size)
        if not guided:
            arguments |= self.unguided or {}
        arguments |= {self.steps_name: steps, "generator": torch.Generator().manual_seed(seed)} | more
        if self.latent is not None:
            arguments.setdefault("output_type", self.latent)
        with warnings.catch_warnings(), seeded(seed):
            warnings.simplefilter("ignore", category=FutureWarning)
            returned = pipe(**arguments, return_dict=False)
        return as_tensor(returned[0])


def as_tensor(made: Any) -> torch.Tensor:
    """Latents, frames or images as one tensor."""
    if isinstance(made, torch.Tensor):
        return made
    if isinstance(made, (list, tuple)):
        return torch.stack([as_tensor(one) for one in made])
    return torch.as_tensor(made)


def quiet(pipe: Any) -> Any:
    """The pipeline without a progress bar, its parts ready to be called."""
    pipe.set_progress_bar_config(disable=True)
    for part in pipe.components.values():
        if isinstance(part, torch.nn.Module):
            part.eval()
    return pipe
