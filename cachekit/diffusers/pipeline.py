"""A loaded diffusers pipeline in the stages that the commands time: its own call makes them all."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import attrs

from cachekit.diffusers.enabling import Enabled, enable, transformers_of
from cachekit.interface.conditions import Conditions
from cachekit.interface.model import Pipeline

if TYPE_CHECKING:
    import torch
    from torch import nn

    from cachekit.interface.predictor import Predictor
    from cachekit.interface.strategy import Strategy


class EnoughSeenError(Exception):
    """All that a look at a run's first step was for is known."""


@attrs.define(slots=False)
class DiffusersPipeline(Pipeline):
    """A pipeline of diffusers, and what its call is given beside prompt, seed, steps and guidance."""

    pipe: Any
    arguments: dict[str, Any]
    fps: float
    _frames: torch.Tensor | None = attrs.field(default=None, init=False)
    _marks: list[float] = attrs.field(factory=list, init=False)
    """When the call began, when the transformer was first called, when it last returned, when the call ended."""
    _watched: bool = attrs.field(default=False, init=False)
    """Whether a calibrator is at work, which needs no frames."""
    _looked: dict[tuple[int, float], Conditions] = attrs.field(factory=dict, init=False)

    @property
    def transformer(self) -> nn.Module:  # type: ignore[override]
        return self.transformers[0]

    @property
    def transformers(self) -> tuple[nn.Module, ...]:
        return tuple(transformers_of(self.pipe))

    def attach(self, strategy: Strategy, predictor: Predictor) -> Enabled:
        return enable(self.pipe, strategy, predictor=predictor)

    def conditions(self, *, steps: int, guidance_scale: float) -> Conditions:
        """As a look at the first step of such a run shows them."""
        key = (steps, guidance_scale)
        if key not in self._looked:
            self._looked[key] = self._look(steps, guidance_scale)
        return self._looked[key]

    def timesteps(self, steps: int) -> tuple[float, ...]:
        return self.conditions(steps=steps, guidance_scale=float(self._default("guidance_scale") or 1.0)).timesteps

    def encode_text(self, prompt: str) -> object:
        """The prompt itself: the pipeline's call encodes it."""
        return prompt

    def denoise(
        self,
        text: object,
        *,
        seed: int,
        steps: int,
        guidance_scale: float,
        on_step: Callable[[int], None] | None = None,
    ) -> torch.Tensor:
        """The pipeline's whole call; its last latents where it tells of them, else its frames."""
        import torch

        latents: list[torch.Tensor] = []

        def stepped(pipe: Any, index: int, timestep: object, given: dict[str, Any]) -> dict[str, Any]:
            latents[:] = [given["latents"]] if "latents" in given else []
            if on_step is not None:
                on_step(index + 1)
            return {}

        told = {"callback_on_step_end": stepped} if self._takes("callback_on_step_end") else {}
        with torch.no_grad():
            made = self._call(str(text), seed, steps, guidance_scale, **told)
        self._frames = made
        return latents[0].float() if latents else made.float()

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """Frames `[T, H, W, 3]`, uint8, that the call has made already."""
        import torch

        assert self._frames is not None
        frames, self._frames = self._frames, None
        return (frames * 255).round().clamp(0, 255).to(torch.uint8).cpu()

    def stage_seconds(self) -> tuple[float, float, float]:
        began, first, last, ended = self._marks
        return first - began, last - first, ended - last

    def peak_memory_bytes(self) -> int | None:
        import torch

        return torch.cuda.max_memory_allocated() if torch.cuda.is_available() else None

    def _call(self, prompt: str, seed: int, steps: int, guidance_scale: float, **more: object) -> torch.Tensor:
        """Frames `[T, H, W, 3]` from 0 to 1."""
        import torch

        given = {
            "prompt": prompt,
            "num_inference_steps": steps,
            "generator": torch.Generator().manual_seed(seed),
            "output_type": "np",
            "return_dict": False,
            **self.arguments,
            **more,
        }
        if self._takes("guidance_scale"):
            given["guidance_scale"] = guidance_scale
        marks = [self._now()]
        handles = [
            handle
            for transformer in transformers_of(self.pipe)
            for handle in (
                transformer.register_forward_pre_hook(lambda *_: marks.append(self._now())),
                transformer.register_forward_hook(lambda *_: marks.append(self._now())),
            )
        ]
        try:
            made = self.pipe(**given)
        finally:
            for handle in handles:
                handle.remove()
        self._marks = [marks[0], marks[1], marks[-1], self._now()]
        return as_frames(made[0])

    def _look(self, steps: int, guidance_scale: float) -> Conditions:
        """Begin a run and stop it after its first step: by then schedule, calls of a step and batch are known."""
        calls: list[int] = []

        def counted(transformer: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            tensors = [one for one in (*args, *kwargs.values()) if hasattr(one, "shape")]
            calls.append(len(tensors[0]) if tensors else 1)

        def stop(pipe: Any, index: int, timestep: object, given: dict[str, Any]) -> dict[str, Any]:
            raise EnoughSeenError

        handles = [t.register_forward_pre_hook(counted, with_kwargs=True) for t in transformers_of(self.pipe)]
        told = {"callback_on_step_end": stop} if self._takes("callback_on_step_end") else {}
        try:
            import torch

            with torch.no_grad():
                self._call("a look at the first step", 0, steps, guidance_scale, **told)
        except EnoughSeenError:
            pass
        finally:
            for handle in handles:
                handle.remove()
        timesteps = tuple(self.pipe.scheduler.timesteps.float().tolist())
        per_step = len(calls) if told else max(1, len(calls) // max(1, len(timesteps)))
        return Conditions(
            steps=steps,
            timesteps=timesteps[-steps:],
            calls_per_step=per_step,
            guidance_scale=guidance_scale,
            guidance_in_batch=per_step == 1 and calls[0] == 2,
        )

    def _now(self) -> float:
        import torch

        if torch.cuda.is_available():
            torch.cuda.synchronize()
        return time.perf_counter()

    def _takes(self, argument: str) -> bool:
        return argument in inspect.signature(type(self.pipe).__call__).parameters

    def _default(self, argument: str) -> Any:
        parameter = inspect.signature(type(self.pipe).__call__).parameters.get(argument)
        return parameter.default if parameter is not None else None


def as_frames(made: Any) -> torch.Tensor:
    """What a pipeline made for one prompt as frames `[T, H, W, 3]`, an image as one of them."""
    import torch

    frames = torch.as_tensor(made)
    return frames[0] if frames.ndim == 5 else frames[:1] if frames.ndim == 4 else frames[None]
