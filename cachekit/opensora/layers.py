"""The pieces of STDiT3, in the order in which a forward meets them.

Parameter names and arithmetic are those of the published checkpoints (hpcai-tech/OpenSora-STDiT-v3); attention is
torch's scaled_dot_product_attention throughout.
"""

import math

import torch
from torch import nn
from torch.nn import functional as F


class PatchEmbed3D(nn.Module):
    """Latents `[B, C, T, H, W]` to tokens `[B, T*S, hidden]`; sizes that patches don't divide are padded with zeros."""

    def __init__(self, patch_size: tuple[int, int, int], in_channels: int, hidden_size: int) -> None:
        super().__init__()
        self.patch_size = patch_size
        self.proj = nn.Conv3d(in_channels, hidden_size, kernel_size=patch_size, stride=patch_size)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        missing = [-size % patch for size, patch in zip(x.shape[2:], self.patch_size, strict=True)]
        x = F.pad(x, (0, missing[2], 0, missing[1], 0, missing[0]))
        return self.proj(x).flatten(2).transpose(1, 2)


class PositionEmbedding2D(nn.Module):
    """Sine-cosine embedding of rows and columns, `[1, S, hidden]`, stretched to the base size and resolution."""

    inv_freq: torch.Tensor

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        half = hidden_size // 2
        inv_freq = 1.0 / (10000 ** (torch.arange(0, half, 2).float() / half))
        self.register_buffer("inv_freq", inv_freq, persistent=False)

    def forward(self, height: int, width: int, *, scale: float, base_size: int, dtype: torch.dtype) -> torch.Tensor:
        """`height` and `width` in patches; positions run to `base_size / scale` whatever their number."""
        device = self.inv_freq.device
        rows = torch.arange(height, device=device) / scale * (base_size / height)
        columns = torch.arange(width, device=device) / scale * (base_size / width)
        embedded_rows = self._sin_cos(rows)[:, None].expand(-1, width, -1)
        embedded_columns = self._sin_cos(columns)[None, :].expand(height, -1, -1)
        return torch.cat([embedded_columns, embedded_rows], dim=-1).flatten(0, 1)[None].to(dtype)

    def _sin_cos(self, positions: torch.Tensor) -> torch.Tensor:
        angles = torch.outer(positions, self.inv_freq)
        return torch.cat([angles.sin(), angles.cos()], dim=-1)


class ScalarEmbedder(nn.Module):
    """A scalar per sample (timestep, frames a second) `[B]` to `[B, hidden]`, through 256 sines and cosines."""

    frequencies = 256

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(
            nn.Linear(self.frequencies, hidden_size), nn.SiLU(), nn.Linear(hidden_size, hidden_size)
        )

    def forward(self, scalar: torch.Tensor) -> torch.Tensor:
        half = self.frequencies // 2
        exponents = torch.arange(half, dtype=torch.float32, device=scalar.device) / half
        angles = scalar[:, None].float() * torch.exp(-math.log(10000) * exponents)
        waves = torch.cat([angles.cos(), angles.sin()], dim=-1)
        return self.mlp(waves.to(self.mlp.get_parameter("0.weight").dtype))


class Mlp(nn.Module):
    """Linear, GELU (tanh form), linear."""

    def __init__(self, in_features: int, hidden_features: int, out_features: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(in_features, hidden_features)
        self.fc2 = nn.Linear(hidden_features, out_features)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc2(F.gelu(self.fc1(x), approximate="tanh"))


class CaptionEmbedder(nn.Module):
    """Caption embeddings `[B, 1, L, caption_channels]` to `[B, 1, L, hidden]`.

    `y_embedding` `[L, caption_channels]` is the caption of nothing, for guidance; in training it takes a caption's
    place with `drop_probability`.
    """

    y_embedding: torch.Tensor

    def __init__(self, caption_channels: int, hidden_size: int, max_length: int, drop_probability: float) -> None:
        super().__init__()
        self.drop_probability = drop_probability
        self.y_proj = Mlp(caption_channels, hidden_size, hidden_size)
        self.register_buffer("y_embedding", torch.randn(max_length, caption_channels) / caption_channels**0.5)

    def forward(self, captions: torch.Tensor) -> torch.Tensor:
        if self.training and self.drop_probability > 0:
            dropped = torch.rand(len(captions), device=captions.device) < self.drop_probability
            captions = torch.where(dropped[:, None, None, None], self.y_embedding.to(captions.dtype), captions)
        return self.y_proj(captions)


class RMSNorm(nn.Module):
    """Root-mean-square norm over the last dimension, in float32."""

    def __init__(self, size: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.eps = eps

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        wide = x.float()
        normed = wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + self.eps)
        return self.weight * normed.to(x.dtype)


class RotaryEmbedding(nn.Module):
    """Rotary positions over the sequence dimension of `[..., N, head_dim]`, neighbouring channels in pairs."""

    def __init__(self, head_dim: int) -> None:
        super().__init__()
        exponents = torch.arange(0, head_dim, 2)[: head_dim // 2].float() / head_dim
        self.freqs = nn.Parameter(1.0 / 10000**exponents, requires_grad=False)

    def angles(self, length: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Cosines and sines for positions 0 to `length - 1`, each `[N, head_dim]`."""
        positions = torch.arange(length, device=self.freqs.device, dtype=torch.float32)
        angles = torch.outer(positions, self.freqs.float()).repeat_interleave(2, dim=-1)
        return angles.cos(), angles.sin()


def rotate(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Turn each pair of neighbouring channels of `[..., N, head_dim]` by its position's angle."""
    first, second = x.unflatten(-1, (-1, 2)).unbind(-1)
    turned = torch.stack([-second, first], dim=-1).flatten(-2)
    return (x * cos + turned * sin).to(x.dtype)


class SelfAttention(nn.Module):
    """Multi-head self-attention on `[B, N, hidden]`, with normed queries and keys, and rotary positions if given."""

    def __init__(self, hidden_size: int, num_heads: int, *, qk_norm: bool) -> None:
        super().__init__()
        head_dim = hidden_size // num_heads
        self.num_heads = num_heads
        self.qkv = nn.Linear(hidden_size, 3 * hidden_size)
        self.q_norm = RMSNorm(head_dim) if qk_norm else nn.Identity()
        self.k_norm = RMSNorm(head_dim) if qk_norm else nn.Identity()
        self.proj = nn.Linear(hidden_size, hidden_size)

    def forward(self, x: torch.Tensor, rotary: tuple[torch.Tensor, torch.Tensor] | None = None) -> torch.Tensor:
        q, k, v = self.qkv(x).unflatten(-1, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4).unbind(0)
        q, k = self.q_norm(q), self.k_norm(k)
        if rotary is not None:
            q, k = rotate(q, *rotary), rotate(k, *rotary)
        attended = F.scaled_dot_product_attention(q, k, v)
        return self.proj(attended.transpose(1, 2).flatten(2))


class CrossAttention(nn.Module):
    """Attention of `[B, N, hidden]` to caption tokens `[B, L, hidden]`, of which `mask` `[B, L]` (bool) keeps some."""

    def __init__(self, hidden_size: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.q_linear = nn.Linear(hidden_size, hidden_size)
        self.kv_linear = nn.Linear(hidden_size, 2 * hidden_size)
        self.proj = nn.Linear(hidden_size, hidden_size)

    def forward(self, x: torch.Tensor, captions: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        q = self.q_linear(x).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
        k, v = self.kv_linear(captions).unflatten(-1, (2, self.num_heads, -1)).permute(2, 0, 3, 1, 4).unbind(0)
        attended = F.scaled_dot_product_attention(q, k, v, attn_mask=None if mask is None else mask[:, None, None, :])
        return self.proj(attended.transpose(1, 2).flatten(2))
