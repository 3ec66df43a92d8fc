"""STDiT3, the transformer of Open-Sora 1.2 (hpcaitech/Open-Sora, tag v1.2.0), in plain PyTorch.

State-dict keys and shapes are those of hpcai-tech/OpenSora-STDiT-v3, so its weights load as they are.
"""

import math
from collections.abc import Sequence

import attrs
import torch
from torch import nn

from cachekit.opensora.layers import (
    CaptionEmbedder,
    CrossAttention,
    Mlp,
    PatchEmbed3D,
    PositionEmbedding2D,
    RotaryEmbedding,
    ScalarEmbedder,
    SelfAttention,
)


@attrs.frozen
class STDiT3Config:
    """Sizes of an STDiT3; the defaults are the published model's."""

    in_channels: int = 4
    patch_size: tuple[int, int, int] = attrs.field(default=(1, 2, 2), converter=tuple)
    """Latent frames, rows and columns of a token."""
    hidden_size: int = 1152
    depth: int = 28
    """Pairs of a spatial and a temporal block."""
    num_heads: int = 16
    mlp_ratio: float = 4.0
    caption_channels: int = 4096
    model_max_length: int = 300
    """Caption tokens."""
    qk_norm: bool = True
    pred_sigma: bool = True
    """Whether the output has twice the channels; the second half is a variance that rectified flow leaves unused."""
    input_sq_size: int = 512
    """Resolution, in pixels of a square's side, at which positions are unscaled."""
    class_dropout_prob: float = 0.1


class STDiT3Block(nn.Module):
    """Attention over a frame's patches (spatial) or a patch's frames (temporal), to the caption, and an MLP."""

    def __init__(self, config: STDiT3Config, *, temporal: bool) -> None:
        super().__init__()
        hidden = config.hidden_size
        self.temporal = temporal
        self.norm1 = nn.LayerNorm(hidden, eps=1e-6, elementwise_affine=False)
        self.attn = SelfAttention(hidden, config.num_heads, qk_norm=config.qk_norm)
        self.cross_attn = CrossAttention(hidden, config.num_heads)
        self.norm2 = nn.LayerNorm(hidden, eps=1e-6, elementwise_affine=False)
        self.mlp = Mlp(hidden, int(hidden * config.mlp_ratio), hidden)
        self.scale_shift_table = nn.Parameter(torch.randn(6, hidden) / hidden**0.5)

    def forward(
        self,
        x: torch.Tensor,
        y: torch.Tensor,
        t: torch.Tensor,
        mask: torch.Tensor | None,
        frames: int,
        *,
        t0: torch.Tensor | None = None,
        noised: torch.Tensor | None = None,
        rotary: tuple[torch.Tensor, torch.Tensor] | None = None,
    ) -> torch.Tensor:
        """Hidden states `x` `[B, T*S, C]`, captions `y` `[B, L, C]` and their `mask`, timestep vector `t` `[B, 6*C]`.

        Where only some tokens are to be denoised, `noised` `[B, T*S, 1]` says which, and `t0` is the timestep vector
        of the others.
        """
        shifts = modulation(self.scale_shift_table, t, t0, noised)
        shift_msa, scale_msa, gate_msa, shift_mlp, scale_mlp, gate_mlp = shifts
        x = x + gate_msa * self._attend(self.norm1(x) * (1 + scale_msa) + shift_msa, frames, rotary)
        x = x + self.cross_attn(x, y, mask)
        return x + gate_mlp * self.mlp(self.norm2(x) * (1 + scale_mlp) + shift_mlp)

    def _attend(self, x: torch.Tensor, frames: int, rotary: tuple[torch.Tensor, torch.Tensor] | None) -> torch.Tensor:
        batch = len(x)
        grid = x.unflatten(1, (frames, -1))
        if self.temporal:
            attended = self.attn(grid.transpose(1, 2).flatten(0, 1), rotary)
            return attended.unflatten(0, (batch, -1)).transpose(1, 2).flatten(1, 2)
        return self.attn(grid.flatten(0, 1)).unflatten(0, (batch, -1)).flatten(1, 2)


def modulation(
    table: torch.Tensor, t: torch.Tensor, t0: torch.Tensor | None, noised: torch.Tensor | None
) -> tuple[torch.Tensor, ...]:
    """Shift, scale and gate of the attention, then of the MLP: `table` `[6, C]` moved by `t` `[B, 6*C]`.

    Each is `[B, 1, C]`; with `noised` `[B, T*S, 1]` it is `[B, T*S, C]`, moved by `t0` where a token is not noised.
    """
    vectors = (table[None] + t.unflatten(1, (6, -1))).chunk(6, dim=1)
    if noised is None or t0 is None:
        return vectors
    zeros = (table[None] + t0.unflatten(1, (6, -1))).chunk(6, dim=1)
    return tuple(torch.where(noised, vector, zero) for vector, zero in zip(vectors, zeros, strict=True))


class FinalLayer(nn.Module):
    """Hidden states to the patches' values, `[B, T*S, patch * out_channels]`."""

    def __init__(self, hidden_size: int, out_features: int) -> None:
        super().__init__()
        self.norm_final = nn.LayerNorm(hidden_size, eps=1e-6, elementwise_affine=False)
        self.linear = nn.Linear(hidden_size, out_features)
        self.scale_shift_table = nn.Parameter(torch.randn(2, hidden_size) / hidden_size**0.5)

    def forward(
        self,
        x: torch.Tensor,
        t: torch.Tensor,
        t0: torch.Tensor | None = None,
        noised: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """`t` and `t0` are `[B, C]` here: shift and scale move by the same vector."""
        shift, scale = (self.scale_shift_table[None] + t[:, None]).chunk(2, dim=1)
        x = self.norm_final(x) * (1 + scale) + shift
        if noised is not None and t0 is not None:
            shift, scale = (self.scale_shift_table[None] + t0[:, None]).chunk(2, dim=1)
            # The published layer norms the shifted and scaled states a second time here, and its weights know it so.
            x = torch.where(noised, x, self.norm_final(x) * (1 + scale) + shift)
        return self.linear(x)


class STDiT3(nn.Module):
    """Spatial-temporal diffusion transformer: predicts the velocity of a video's latents."""

    def __init__(self, config: STDiT3Config) -> None:
        super().__init__()
        self.config = config
        hidden = config.hidden_size
        self.out_channels = config.in_channels * (2 if config.pred_sigma else 1)
        self.pos_embed = PositionEmbedding2D(hidden)
        self.rope = RotaryEmbedding(hidden // config.num_heads)
        self.x_embedder = PatchEmbed3D(config.patch_size, config.in_channels, hidden)
        self.t_embedder = ScalarEmbedder(hidden)
        self.fps_embedder = ScalarEmbedder(hidden)
        self.t_block = nn.Sequential(nn.SiLU(), nn.Linear(hidden, 6 * hidden))
        self.y_embedder = CaptionEmbedder(
            config.caption_channels, hidden, config.model_max_length, config.class_dropout_prob
        )
        self.spatial_blocks = nn.ModuleList(STDiT3Block(config, temporal=False) for _ in range(config.depth))
        self.temporal_blocks = nn.ModuleList(STDiT3Block(config, temporal=True) for _ in range(config.depth))
        self.final_layer = FinalLayer(hidden, math.prod(config.patch_size) * self.out_channels)
        self.initialize_weights()

    def initialize_weights(self) -> None:
        """Xavier linears, and temporal blocks that begin as nothing, so that training starts from single frames."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)
        nn.init.normal_(self.fps_embedder.mlp.get_parameter("0.weight"), std=0.02)
        nn.init.zeros_(self.fps_embedder.mlp.get_parameter("2.weight"))
        for block in self.temporal_blocks:
            assert isinstance(block, STDiT3Block)
            for last in (block.attn.proj, block.cross_attn.proj, block.mlp.fc2):
                nn.init.zeros_(last.weight)

    def forward(
        self,
        x: torch.Tensor,
        timestep: torch.Tensor,
        y: torch.Tensor,
        mask: torch.Tensor | None = None,
        x_mask: torch.Tensor | None = None,
        fps: torch.Tensor | None = None,
        height: torch.Tensor | None = None,
        width: torch.Tensor | None = None,
        **kwargs: object,
    ) -> torch.Tensor:
        """Velocity (and variance, with `pred_sigma`) `[B, out_channels, T, H, W]` in float32.

        `x` are latents `[B, C, T, H, W]`; `timestep` `[B]` from 0 (clean) to 1000 (noise); `y` caption embeddings
        `[B, 1, L, caption_channels]` and `mask` `[B or a divisor, L]` their tokens to look at; `x_mask` `[B, T]` the
        frames to denoise where some are given; `fps` `[B or 1]` frames a second; `height` and `width` `[B]` the
        video's size in pixels. Other keyword arguments are accepted and not used, as in the public code.
        """
        if fps is None or height is None or width is None:
            raise TypeError("STDiT3 needs fps, height and width: it is conditioned on frame rate and resolution")
        dtype = self.x_embedder.proj.weight.dtype
        sizes = x.shape[2:]
        frames, rows, columns = (
            math.ceil(size / patch) for size, patch in zip(sizes, self.config.patch_size, strict=True)
        )
        base_size = round((rows * columns) ** 0.5)
        scale = (height[0].item() * width[0].item()) ** 0.5 / self.config.input_sq_size
        positions = self.pos_embed(rows, columns, scale=scale, base_size=base_size, dtype=dtype)

        rate = self.fps_embedder(fps.expand(len(x)) if len(fps) == 1 else fps)
        t = self.t_embedder(timestep.to(dtype)) + rate
        t0 = t0_block = noised = None
        if x_mask is not None:
            t0 = self.t_embedder(torch.zeros_like(timestep, dtype=dtype)) + rate
            t0_block = self.t_block(t0)
            noised = x_mask.bool().repeat_interleave(rows * columns, dim=1)[:, :, None]
        t_block = self.t_block(t)

        captions = self.y_embedder(y.to(dtype)).squeeze(1)
        if mask is not None:
            mask = mask.bool().flatten(1).repeat(len(captions) // len(mask), 1)

        tokens = self.x_embedder(x.to(dtype)).unflatten(1, (frames, -1))
        hidden = (tokens + positions).flatten(1, 2)
        cos, sin = (angles.to(dtype) for angles in self.rope.angles(frames))
        for spatial, temporal in zip(self.spatial_blocks, self.temporal_blocks, strict=True):
            hidden = spatial(hidden, captions, t_block, mask, frames, t0=t0_block, noised=noised)
            hidden = temporal(hidden, captions, t_block, mask, frames, t0=t0_block, noised=noised, rotary=(cos, sin))
        values = self.final_layer(hidden, t, t0, noised)
        return self.unpatchify(values, (frames, rows, columns), sizes).float()

    def unpatchify(self, values: torch.Tensor, grid: tuple[int, int, int], sizes: Sequence[int]) -> torch.Tensor:
        """Patches `[B, T*S, patch * out_channels]` back to a video `[B, out_channels, T, H, W]`, padding cut off."""
        patch = self.config.patch_size
        cells = values.view(len(values), *grid, *patch, self.out_channels)
        padded = cells.permute(0, 7, 1, 4, 2, 5, 3, 6).reshape(
            len(values), self.out_channels, *(n * p for n, p in zip(grid, patch, strict=True))
        )
        return padded[:, :, : sizes[0], : sizes[1], : sizes[2]]
