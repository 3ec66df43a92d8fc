"""Open-Sora 1.2 loaded: from a prompt to frames in three stages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import attrs
import torch
from torch import nn

from cachekit.errors import CachekitError
from cachekit.generation.finite import check_frames
from cachekit.interface.model import Pipeline
from cachekit.opensora.captions import clean
from cachekit.opensora.memory import peak_memory_bytes
from cachekit.opensora.sampler import RFlowSampler
from cachekit.opensora.sizes import latent_size
from cachekit.opensora.solvers import is_euler
from cachekit.opensora.stdit3 import STDiT3
from cachekit.opensora.text import TextEmbedding, TextEncoder
from cachekit.opensora.vae import VideoVAE

IMAGE_FPS = 120.0
"""The frame rate that the transformer was told of single images."""


@attrs.frozen
class VideoSize:
    """Of the videos that a pipeline makes."""

    frames: int
    height: int
    """Pixels asked for; the video has those that 8 divides."""
    width: int
    fps: float

    def conditions(self, dtype: torch.dtype, device: torch.device | str = "cpu") -> dict[str, torch.Tensor]:
        """What transformer and sampler are told of it, each `[1]`.

        In the transformer's dtype, as the published pipeline tells them: in bfloat16 a width of 854 becomes 856, which
        moves the timesteps by 0.02%, and the published profiles and figures were measured so.
        """
        told = {
            "fps": self.fps if self.frames > 1 else IMAGE_FPS,
            "height": self.height,
            "width": self.width,
            "num_frames": self.frames,
        }
        return {name: torch.tensor([value], dtype=dtype, device=device) for name, value in told.items()}

    def timesteps(
        self, steps: int, dtype: torch.dtype, *, transform: bool, spacing: float | None = None
    ) -> tuple[float, ...]:
        """The timestep of each step."""
        sizes = self.conditions(dtype)
        del sizes["fps"]
        sampler = RFlowSampler(steps, use_timestep_transform=transform, spacing=spacing)
        return tuple(float(timestep) for timestep in sampler.timesteps(**sizes))


@attrs.define(eq=False)
class OpenSoraPipeline(Pipeline):
    """T5, STDiT3, rectified flow and the video VAE."""

    guidance_in_batch = True

    transformer: STDiT3
    text_encoder: TextEncoder
    vae: VideoVAE
    size: VideoSize
    device: torch.device
    timestep_transform: bool = True
    spacing: float | None = None
    solver: str | None = None
    offload: bool = False
    """Whether text encoder and VAE wait on the CPU and are on the device for their own stage alone."""

    def __attrs_post_init__(self) -> None:
        self.transformer.to(self.device)
        if not self.offload:
            self.text_encoder.model.to(self.device)
            self.vae.to(self.device)

    @property
    def fps(self) -> float:  # type: ignore[override]
        return self.size.fps

    @property
    def euler(self) -> bool:  # type: ignore[override]
        return is_euler(self.solver)

    @property
    def dtype(self) -> torch.dtype:
        return self.transformer.x_embedder.proj.weight.dtype

    def check_prompt(self, prompt: str) -> list[str]:
        """A warning where words are lost: to the cleaning all of them, or those beyond T5's 300 tokens."""
        if not prompt.strip():
            raise CachekitError("the prompt is empty; say what the video is to show")
        warnings = []
        if not clean(prompt):
            warnings.append(f"nothing of {prompt!r} is left once it is cleaned as the training captions were")
        tokens, most = self.text_encoder.token_count(prompt), self.text_encoder.max_tokens
        if tokens > most:
            warnings.append(f"the prompt has {tokens} tokens, and what is beyond the first {most} is not read")
        return warnings

    def timesteps(self, steps: int) -> tuple[float, ...]:
        return self.size.timesteps(steps, self.dtype, transform=self.timestep_transform, spacing=self.spacing)

    def resampled(self, *, spacing: float | None = None, solver: str | None = None) -> OpenSoraPipeline:
        return attrs.evolve(self, spacing=spacing, solver=solver)

    def encode_text(self, prompt: str) -> TextEmbedding:
        with self._on_device(self.text_encoder.model):
            return self.text_encoder.encode(prompt, device=self.device)

    def denoise(
        self,
        text: object,
        *,
        seed: int,
        steps: int,
        guidance_scale: float,
        on_step: Callable[[int], None] | None = None,
    ) -> torch.Tensor:
        """Latents `[1, 4, T', H/8, W/8]`; the noise is drawn on the CPU, so that a seed means the same everywhere."""
        if not isinstance(text, TextEmbedding):
            raise TypeError(f"denoise takes what encode_text returns, not a {type(text).__name__}")
        shape = latent_size(self.size.frames, self.size.height, self.size.width)
        noise = torch.randn(1, self.vae.latent_channels, *shape, generator=torch.Generator().manual_seed(seed))
        sampler = RFlowSampler(steps, guidance_scale, self.timestep_transform, self.spacing, self.solver)
        return sampler.sample(
            self.transformer,
            noise.to(self.device, self.dtype),
            y=text.y,
            y_null=self.transformer.y_embedder.y_embedding[None, None],
            mask=text.mask,
            on_step=on_step,
            **self.size.conditions(self.dtype, self.device),
        )

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        with self._on_device(self.vae):
            dtype = next(self.vae.parameters()).dtype
            video = self.vae.decode(latents.to(self.device, dtype), self.size.frames)
            return to_frames(video[0]).cpu()

    def peak_memory_bytes(self) -> int | None:
        """Bytes in use at the peak; see `cachekit.opensora.memory`."""
        return peak_memory_bytes(self.device)

    @contextmanager
    def _on_device(self, module: nn.Module) -> Iterator[None]:
        if not self.offload:
            yield
            return
        module.to(self.device)
        try:
            yield
        finally:
            module.to("cpu")
            if self.device.type == "cuda":
                torch.cuda.empty_cache()


def to_frames(video: torch.Tensor) -> torch.Tensor:
    """A video `[3, T, H, W]` in [-1, 1] to frames `[T, H, W, 3]`, uint8, each value to the nearest level."""
    check_frames(video)
    levels = (video.float().clamp(-1, 1) + 1) / 2 * 255 + 0.5
    return levels.clamp(0, 255).to(torch.uint8).permute(1, 2, 3, 0).contiguous()
