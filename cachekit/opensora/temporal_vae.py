"""VAE_Temporal: Open-Sora 1.2's autoencoder over time (opensora/models/vae/vae_temporal.py at tag v1.2.0).

It takes the latents of single frames, four frames to one in time, rows and columns untouched. Convolutions are causal:
a frame sees itself and what came before. State-dict keys are those of hpcai-tech/OpenSora-VAE-v1.2 under
`temporal_vae.`.
"""

from __future__ import annotations

from itertools import pairwise

import attrs
import torch
from torch import nn
from torch.nn import functional as F


@attrs.frozen
class TemporalVAEConfig:
    """Sizes of a temporal VAE; the defaults are the published model's."""

    in_out_channels: int = 4
    """Channels of the frames' latents."""
    latent_embed_dim: int = 4
    embed_dim: int = 4
    """Channels of the video's latents."""
    filters: int = 128
    num_res_blocks: int = 4
    channel_multipliers: tuple[int, ...] = attrs.field(default=(1, 2, 2, 4), converter=tuple)
    """Width of each level in units of `filters`, from the frames inwards."""
    temporal_downsample: tuple[bool, ...] = attrs.field(default=(False, True, True), converter=tuple)
    """Whether time is halved behind each level but the last."""
    num_groups: int = 32

    @property
    def widths(self) -> list[int]:
        return [self.filters * multiplier for multiplier in self.channel_multipliers]

    @property
    def time_factor(self) -> int:
        """Frames of a latent frame."""
        factor: int = 2 ** sum(self.temporal_downsample)
        return factor


class CausalConv3d(nn.Module):
    """A convolution over `[B, C, T, H, W]` that is padded with zeros: in time before the first frame alone."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel: int, *, time_stride: int = 1, bias: bool = True
    ) -> None:
        super().__init__()
        before = kernel - time_stride
        self.padding = (*(kernel // 2,) * 4, before, 0)
        self.conv = nn.Conv3d(in_channels, out_channels, kernel, stride=(time_stride, 1, 1), bias=bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        convolved: torch.Tensor = self.conv(F.pad(x, self.padding))
        return convolved


class ResBlock(nn.Module):
    """Norm, SiLU, convolution, twice, added to the input (a 1x1x1 convolution of it where widths differ)."""

    def __init__(self, in_channels: int, out_channels: int, num_groups: int) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(num_groups, in_channels)
        self.conv1 = CausalConv3d(in_channels, out_channels, 3, bias=False)
        self.norm2 = nn.GroupNorm(num_groups, out_channels)
        self.conv2 = CausalConv3d(out_channels, out_channels, 3, bias=False)
        if in_channels != out_channels:
            self.conv3 = CausalConv3d(in_channels, out_channels, 1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        change: torch.Tensor = self.conv1(F.silu(self.norm1(x)))
        change = self.conv2(F.silu(self.norm2(change)))
        return change + (self.conv3(x) if hasattr(self, "conv3") else x)


def res_blocks(in_channels: int, out_channels: int, config: TemporalVAEConfig) -> nn.Sequential:
    """A level's blocks; the first changes the width."""
    widths = [in_channels] + [out_channels] * config.num_res_blocks
    return nn.Sequential(*(ResBlock(*pair, config.num_groups) for pair in pairwise(widths)))


class Encoder(nn.Module):
    """Frames' latents `[B, C, T, H, W]` to moments `[B, 2 * latent_embed_dim, T / time_factor, H, W]`."""

    def __init__(self, config: TemporalVAEConfig) -> None:
        super().__init__()
        widths = config.widths
        self.conv_in = CausalConv3d(config.in_out_channels, config.filters, 3, bias=False)
        self.block_res_blocks = nn.ModuleList(
            res_blocks(before, width, config) for before, width in zip([config.filters, *widths], widths, strict=False)
        )
        self.conv_blocks = nn.ModuleList(
            CausalConv3d(width, width, 3, time_stride=2) if halves else nn.Identity()
            for width, halves in zip(widths, config.temporal_downsample, strict=False)
        )
        self.res_blocks = res_blocks(widths[-1], widths[-1], config)
        self.norm1 = nn.GroupNorm(config.num_groups, widths[-1])
        self.conv2 = CausalConv3d(widths[-1], 2 * config.latent_embed_dim, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.conv_in(x)
        for level, blocks in enumerate(self.block_res_blocks):
            x = blocks(x)
            if level < len(self.conv_blocks):
                x = self.conv_blocks[level](x)
        moments: torch.Tensor = self.conv2(F.silu(self.norm1(self.res_blocks(x))))
        return moments


class Decoder(nn.Module):
    """Latents `[B, latent_embed_dim, T, H, W]` to frames' latents `[B, C, T * time_factor, H, W]`."""

    def __init__(self, config: TemporalVAEConfig) -> None:
        super().__init__()
        widths = config.widths
        self.conv1 = CausalConv3d(config.latent_embed_dim, widths[-1], 3)
        self.res_blocks = res_blocks(widths[-1], widths[-1], config)
        self.block_res_blocks = nn.ModuleList(
            res_blocks(before, width, config) for before, width in zip([*widths[1:], widths[-1]], widths, strict=True)
        )
        self.conv_blocks = nn.ModuleList(
            CausalConv3d(width, 2 * width, 3) if doubles else nn.Identity()
            for width, doubles in zip(widths[1:], config.temporal_downsample, strict=True)
        )
        self.norm1 = nn.GroupNorm(config.num_groups, widths[0])
        self.conv_out = CausalConv3d(widths[0], config.in_out_channels, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.res_blocks(self.conv1(x))
        for level in reversed(range(len(self.block_res_blocks))):
            x = self.block_res_blocks[level](x)
            if level > 0:
                conv = self.conv_blocks[level - 1]
                x = conv(x) if isinstance(conv, nn.Identity) else channels_to_time(conv(x))
        frames: torch.Tensor = self.conv_out(F.silu(self.norm1(x)))
        return frames


def channels_to_time(x: torch.Tensor) -> torch.Tensor:
    """`[B, 2C, T, H, W]` to `[B, C, 2T, H, W]`: neighbouring channels become neighbouring frames."""
    return x.view(len(x), -1, 2, *x.shape[2:]).transpose(2, 3).flatten(2, 3)


@attrs.frozen
class Posterior:
    """A normal distribution over latents; mean and log-variance `[B, C, T, H, W]`."""

    mean: torch.Tensor
    log_variance: torch.Tensor

    def sample(self, generator: torch.Generator | None = None) -> torch.Tensor:
        """A draw, with noise made on the CPU so that a seed means the same on every device."""
        noise = torch.randn(self.mean.shape, generator=generator).to(self.mean)
        return self.mean + torch.exp(0.5 * self.log_variance) * noise


class TemporalVAE(nn.Module):
    """Frames' latents to a video's latents and back, a micro-batch of frames at a time."""

    def __init__(self, config: TemporalVAEConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.quant_conv = CausalConv3d(2 * config.latent_embed_dim, 2 * config.embed_dim, 1)
        self.post_quant_conv = CausalConv3d(config.embed_dim, config.latent_embed_dim, 1)
        self.decoder = Decoder(config)

    def missing_frames(self, num_frames: int) -> int:
        """Zero frames put before the first so that time divides."""
        return -num_frames % self.config.time_factor

    def encode(self, x: torch.Tensor) -> Posterior:
        """The posterior of frames' latents `[B, C, T, H, W]`, of ceil(T / 4) latent frames."""
        padded = F.pad(x, (0, 0, 0, 0, self.missing_frames(x.shape[2]), 0))
        mean, log_variance = self.quant_conv(self.encoder(padded)).chunk(2, dim=1)
        return Posterior(mean, log_variance.clamp(-30.0, 20.0))

    def decode(self, z: torch.Tensor, num_frames: int) -> torch.Tensor:
        """Latents `[B, C, ceil(num_frames / 4), H, W]` to frames' latents `[B, C, num_frames, H, W]`."""
        frames: torch.Tensor = self.decoder(self.post_quant_conv(z))
        return frames[:, :, self.missing_frames(num_frames) :]
