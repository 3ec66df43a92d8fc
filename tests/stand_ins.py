"""Small transformers of the public packages' call shapes, written for the tests."""

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

HIDDEN = 16


class Block(nn.Module):
    """Hidden states, captions and timestep vector in, hidden states out; counts its calls."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(HIDDEN, elementwise_affine=False)
        self.linear = nn.Linear(HIDDEN, HIDDEN)
        self.scale_shift_table = nn.Parameter(torch.randn(6, HIDDEN) / 4)
        self.calls = 0

    def forward(self, x, y, t, *rest, **more):
        self.calls += 1
        shift, scale, gate = (self.scale_shift_table[None] + t.reshape(len(x), 6, -1))[:, :3].chunk(3, dim=1)
        return x + gate * torch.tanh(self.linear(self.norm1(x) * (1 + scale) + shift)) + y.mean(1, keepdim=True)


class OpenSoraLike(nn.Module):
    """As `opensora.models.stdit.stdit3.STDiT3` calls its blocks: positionally, through torch's checkpoint."""

    def __init__(self, depth: int = 2) -> None:
        super().__init__()
        self.embed = nn.Linear(4, HIDDEN)
        self.t_block = nn.Linear(1, 6 * HIDDEN)
        self.spatial_blocks = nn.ModuleList(Block() for _ in range(depth))
        self.temporal_blocks = nn.ModuleList(Block() for _ in range(depth))
        self.final = nn.Linear(HIDDEN, 4)

    def forward(self, x, timestep, y, mask=None, x_mask=None, fps=None, height=None, width=None, **kwargs):
        hidden, t = self.prepare(x, timestep)
        frames, patches = x.shape[1], 1
        for spatial, temporal in zip(self.spatial_blocks, self.temporal_blocks, strict=True):
            for block in (spatial, temporal):
                hidden = checkpoint(block, hidden, y, t, mask, x_mask, None, frames, patches, use_reentrant=False)
        return self.final(hidden)

    def prepare(self, x, timestep):
        return self.embed(x), self.t_block(timestep[:, None] / 1000)

    def block_calls(self) -> int:
        return sum(block.calls for block in (*self.spatial_blocks, *self.temporal_blocks))


class VideoSysLike(OpenSoraLike):
    """As VideoSys's STDiT3 is called (all timesteps third) and calls its blocks (timesteps too, one by keyword)."""

    def forward(self, x, timestep, all_timesteps, y, mask=None, x_mask=None, fps=None, **kwargs):
        hidden, t = self.prepare(x, timestep)
        for spatial, temporal in zip(self.spatial_blocks, self.temporal_blocks, strict=True):
            for block in (spatial, temporal):
                hidden = block(hidden, y, t, mask, x_mask, None, x.shape[1], 1, timestep, all_timesteps=all_timesteps)
        return self.final(hidden)


class Strange(nn.Module):
    """A transformer of no known structure."""

    def forward(self, x):
        return x
