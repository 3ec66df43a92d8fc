"""The mini's VAE: a small causal video autoencoder, 17 frames of 64x64 to 5 latent frames of 8x8."""

import attrs
import torch
from torch import nn
from torch.nn import functional as F


@attrs.frozen
class AutoencoderConfig:
    latent_channels: int = 8
    width: int = 64
    """Channels at 16x16, where frames are worked on one by one."""
    inner_width: int = 128
    """Channels at 8x8, where time is compressed too."""


class ResBlock(nn.Module):
    """Two 3x3 convolutions with group norms, on the frames of `[N, C, H, W]`."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(8, channels)
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.norm2 = nn.GroupNorm(8, channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = self.conv1(F.silu(self.norm1(x)))
        return x + self.conv2(F.silu(self.norm2(hidden)))


class CausalConv(nn.Module):
    """A 3-tap convolution over time on `[B, C, T, H, W]` that sees no later frame; the first is repeated before it."""

    def __init__(self, channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv3d(channels, out_channels, (3, 1, 1), stride=(stride, 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        past = x[:, :, :1].expand(-1, -1, 2, -1, -1)
        return self.conv(torch.cat([past, x], dim=2))


def double_time(x: torch.Tensor) -> torch.Tensor:
    """`[B, 2C, T, H, W]` to `[B, C, 2T - 1, H, W]`: two frames from each, and the first of all dropped."""
    batch, channels, frames, height, width = x.shape
    x = x.view(batch, channels // 2, 2, frames, height, width).transpose(2, 3)
    return x.reshape(batch, channels // 2, 2 * frames, height, width)[:, :, 1:]


def per_frame(module: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """Apply a 2-D module to every frame of `[B, C, T, H, W]`."""
    batch, channels, frames, height, width = x.shape
    y = module(x.transpose(1, 2).reshape(batch * frames, channels, height, width))
    return y.view(batch, frames, *y.shape[1:]).transpose(1, 2)


class Autoencoder(nn.Module):
    """Video in [-1, 1] to latents of mean 0 and deviation 1 per channel, and back."""

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        self.config = config
        width, inner, latent = config.width, config.inner_width, config.latent_channels
        self.encode_frames = nn.Sequential(
            nn.PixelUnshuffle(4),
            nn.Conv2d(48, width, 3, padding=1),
            ResBlock(width),
            nn.Conv2d(width, inner, 3, stride=2, padding=1),
            ResBlock(inner),
        )
        self.encode_time = nn.Sequential(
            CausalConv(inner, inner, stride=2), nn.SiLU(), CausalConv(inner, inner, stride=2), nn.SiLU()
        )
        self.to_latents = nn.Sequential(ResBlock(inner), nn.GroupNorm(8, inner), nn.Conv2d(inner, latent, 1))
        self.from_latents = nn.Sequential(nn.Conv2d(latent, inner, 3, padding=1), ResBlock(inner))
        self.decode_time1 = CausalConv(inner, 2 * inner)
        self.decode_time2 = CausalConv(inner, 2 * inner)
        self.decode_frames = nn.Sequential(
            ResBlock(inner),
            nn.Conv2d(inner, 4 * width, 1),
            nn.PixelShuffle(2),
            ResBlock(width),
            ResBlock(width),
            nn.GroupNorm(8, width),
            nn.SiLU(),
            nn.Conv2d(width, 48, 3, padding=1),
            nn.PixelShuffle(4),
        )
        self.latent_mean: torch.Tensor
        self.latent_std: torch.Tensor
        self.register_buffer("latent_mean", torch.zeros(latent))
        self.register_buffer("latent_std", torch.ones(latent))

    def raw_encode(self, video: torch.Tensor) -> torch.Tensor:
        """`[B, 3, T, H, W]` to latents before normalising, `[B, C, (T + 3) / 4, H / 8, W / 8]`."""
        return per_frame(self.to_latents, self.encode_time(per_frame(self.encode_frames, video)))

    def raw_decode(self, latents: torch.Tensor) -> torch.Tensor:
        hidden = per_frame(self.from_latents, latents)
        hidden = F.silu(double_time(self.decode_time1(hidden)))
        hidden = F.silu(double_time(self.decode_time2(hidden)))
        return per_frame(self.decode_frames, hidden)

    def encode(self, video: torch.Tensor) -> torch.Tensor:
        """Video `[B, 3, T, H, W]` in [-1, 1], T one more than a multiple of 4, to normalised latents."""
        return (self.raw_encode(video) - self._per_channel(self.latent_mean)) / self._per_channel(self.latent_std)

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """Normalised latents `[B, C, t, h, w]` to video `[B, 3, 4t - 3, 8h, 8w]` in [-1, 1]."""
        raw = latents * self._per_channel(self.latent_std) + self._per_channel(self.latent_mean)
        return self.raw_decode(raw).clamp(-1, 1)

    @staticmethod
    def _per_channel(values: torch.Tensor) -> torch.Tensor:
        return values[:, None, None, None]
