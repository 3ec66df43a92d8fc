"""Open-Sora 1.2's video VAE: an image VAE on every frame, then the temporal VAE over the frames' latents.

Arithmetic and state-dict keys are those of hpcai-tech/OpenSora-VAE-v1.2 (opensora/models/vae/vae.py at tag v1.2.0);
the image VAE is diffusers' AutoencoderKL of PixArt-alpha/pixart_sigma_sdxlvae_T5_diffusers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from cachekit.opensora.sizes import MICRO_FRAMES
from cachekit.opensora.temporal_vae import TemporalVAE

MICRO_BATCH = 4
"""Frames that the image VAE takes at once."""
SPATIAL_SCALE = 0.18215
"""Factor on the image VAE's latents; Open-Sora trained with that of Stable Diffusion 1."""
SHIFT = (-0.10, 0.34, 0.27, 0.98)
SCALE = (3.85, 2.32, 2.33, 3.06)
"""Latents are normalised per channel as (z - shift) / scale."""


class SpatialVAE(nn.Module):
    """An image autoencoder on each frame of a video, a few frames at a time."""

    def __init__(self, module: nn.Module, *, micro_batch: int = MICRO_BATCH) -> None:
        """`module` is an AutoencoderKL: `encode(x).latent_dist` and `decode(z).sample` of images `[N, C, H, W]`."""
        super().__init__()
        self.module: Any = module
        self.micro_batch = micro_batch

    def encode(self, video: torch.Tensor, generator: torch.Generator | None = None) -> torch.Tensor:
        """Video `[B, 3, T, H, W]` in [-1, 1] to its frames' latents `[B, 4, T, H/8, W/8]`.

        With a generator they are drawn from the posterior, without one they are its mean.
        """

        def encode_images(images: torch.Tensor) -> torch.Tensor:
            posterior = self.module.encode(images).latent_dist
            latents: torch.Tensor = posterior.mode() if generator is None else posterior.sample(generator)
            return latents * SPATIAL_SCALE

        return self._by_frames(encode_images, video)

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """Frames' latents `[B, 4, T, H, W]` to a video `[B, 3, T, 8H, 8W]`, about [-1, 1]."""
        return self._by_frames(lambda images: self.module.decode(images / SPATIAL_SCALE).sample, latents)

    def _by_frames(self, work: Any, video: torch.Tensor) -> torch.Tensor:
        images = video.transpose(1, 2).flatten(0, 1)
        done = torch.cat([work(part) for part in torch.split(images, self.micro_batch)])
        return done.view(len(video), -1, *done.shape[1:]).transpose(1, 2)


class VideoVAE(nn.Module):
    """Videos to normalised latents and back."""

    shift: torch.Tensor
    scale: torch.Tensor

    def __init__(
        self,
        spatial_vae: SpatialVAE,
        temporal_vae: TemporalVAE,
        *,
        micro_frames: int = MICRO_FRAMES,
        shift: Sequence[float] = SHIFT,
        scale: Sequence[float] = SCALE,
    ) -> None:
        super().__init__()
        self.spatial_vae = spatial_vae
        self.temporal_vae = temporal_vae
        self.micro_frames = micro_frames
        self.register_buffer("shift", torch.tensor(shift)[None, :, None, None, None])
        self.register_buffer("scale", torch.tensor(scale)[None, :, None, None, None])

    @property
    def latent_channels(self) -> int:
        return self.temporal_vae.config.embed_dim

    @torch.no_grad()
    def encode(self, video: torch.Tensor, generator: torch.Generator | None = None) -> torch.Tensor:
        """Video `[B, 3, T, H, W]` in [-1, 1] to latents `[B, 4, T', H/8, W/8]`, five for each 17 frames.

        With a generator they are drawn from the posteriors, without one they are the means.
        """
        frames = self.spatial_vae.encode(video, generator)
        posteriors = [self.temporal_vae.encode(part) for part in torch.split(frames, self.micro_frames, dim=2)]
        z = torch.cat([p.mean if generator is None else p.sample(generator) for p in posteriors], dim=2)
        return (z - self.shift) / self.scale

    @torch.no_grad()
    def decode(self, latents: torch.Tensor, num_frames: int) -> torch.Tensor:
        """Latents `[B, 4, T', H, W]` to a video `[B, 3, num_frames, 8H, 8W]`, about [-1, 1]."""
        z = latents * self.scale.to(latents.dtype) + self.shift.to(latents.dtype)
        counts = frame_parts(num_frames, self.micro_frames)
        latent_counts = [-(-count // self.temporal_vae.config.time_factor) for count in counts]
        parts = zip(torch.split(z, latent_counts, dim=2), counts, strict=True)
        return self.spatial_vae.decode(torch.cat([self.temporal_vae.decode(*part) for part in parts], dim=2))


def frame_parts(num_frames: int, micro_frames: int) -> list[int]:
    """Sizes of the parts that frames are taken in: whole ones, and the rest."""
    whole, rest = divmod(num_frames, micro_frames)
    return [micro_frames] * whole + [rest] * (rest > 0)
