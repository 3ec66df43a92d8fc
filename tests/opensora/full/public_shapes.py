"""Small transformers whose blocks are called as the public packages call theirs, written for the tests."""

from __future__ import annotations

from types import SimpleNamespace

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

WIDTH = 16


class SpaceTimeBlock(nn.Module):
    """A block of Open-Sora 1.2: hidden states, captions and timestep first, then what the caller likes to add."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(WIDTH, elementwise_affine=False)
        self.scale_shift_table = nn.Parameter(torch.randn(6, WIDTH) / 4)
        self.mlp = nn.Linear(WIDTH, WIDTH)

    def forward(self, x, y, t, mask=None, x_mask=None, t0=None, T=None, S=None, *more, **named):  # noqa: N803
        assert x.shape[1] == T * S
        shift, scale, gate = (self.scale_shift_table[None] + t.reshape(len(x), 6, -1))[:, :3].chunk(3, dim=1)
        return x + gate * self.mlp(self.norm1(x) * (1 + scale) + shift) + y.mean(1, keepdim=True)


class SpaceTimeTransformer(nn.Module):
    """Spatial and temporal blocks in turn, as `opensora.models.stdit.stdit3.STDiT3` calls them."""

    def __init__(self, depth: int = 3) -> None:
        super().__init__()
        self.spatial_blocks = nn.ModuleList(SpaceTimeBlock() for _ in range(depth))
        self.temporal_blocks = nn.ModuleList(SpaceTimeBlock() for _ in range(depth))
        self.time = nn.Linear(1, 6 * WIDTH)
        self.final = nn.Linear(WIDTH, WIDTH)

    def forward(self, x, timestep, y, mask=None, x_mask=None, fps=None, height=None, width=None, **kwargs):
        return self.run(x, timestep, y, mask, x_mask)

    def run(self, x, timestep, y, mask, x_mask):
        frames, cells = x.shape[1:3]
        t = self.time(timestep[:, None] / 1000)
        hidden = x.flatten(1, 2)
        for blocks in zip(self.spatial_blocks, self.temporal_blocks, strict=True):
            for block in blocks:
                hidden = self.call(block, hidden, y, t, mask, x_mask, t, frames, cells, timestep)
        return self.final(hidden).view(x.shape)

    def call(self, block, hidden, y, t, mask, x_mask, t0, frames, cells, timestep):
        return block(hidden, y, t, mask, x_mask, t0, frames, cells)


class CheckpointedTransformer(SpaceTimeTransformer):
    """As VideoSys calls them: through torch's checkpoint, the timesteps of the run third, more arguments a block."""

    def forward(self, x, timestep, all_timesteps, y, mask=None, x_mask=None, fps=None, height=None, width=None, **kw):
        self.all_timesteps = all_timesteps
        return self.run(x, timestep, y, mask, x_mask)

    def call(self, block, *args):
        return checkpoint(block, *args, use_reentrant=False, all_timesteps=self.all_timesteps)


class DoubleBlock(nn.Module):
    """Image and text stream in, both out."""

    def __init__(self) -> None:
        super().__init__()
        self.modulation = nn.Linear(WIDTH, 3 * WIDTH)
        self.img_norm1 = nn.LayerNorm(WIDTH, elementwise_affine=False)
        self.img_mlp = nn.Linear(WIDTH, WIDTH)
        self.txt_mlp = nn.Linear(WIDTH, WIDTH)

    def img_mod(self, vec):
        shift, scale, gate = self.modulation(vec)[:, None].chunk(3, dim=-1)
        return SimpleNamespace(shift=shift, scale=scale, gate=gate), None

    def forward(self, img, txt, vec, pe, **kwargs):
        mod, _ = self.img_mod(vec)
        change = self.img_mlp((1 + mod.scale) * self.img_norm1(img) + mod.shift) + txt.mean(1, keepdim=True)
        return img + mod.gate * change, txt + self.txt_mlp(txt) + img.mean(1, keepdim=True)


class SingleBlock(nn.Module):
    """The joined stream in, the joined stream out."""

    def __init__(self) -> None:
        super().__init__()
        self.modulation = nn.Linear(WIDTH, WIDTH)
        self.mlp = nn.Linear(WIDTH, WIDTH)

    def forward(self, x, vec, pe, **kwargs):
        return x + self.mlp(x + pe) * self.modulation(vec)[:, None] + x.mean(1, keepdim=True)


class DoubleThenSingle(nn.Module):
    """As `opensora.models.mmdit.model.MMDiTModel` calls them: joined text first, the image cut out at the end."""

    def __init__(self, double: int = 2, single: int = 3, *, by_name: bool = False) -> None:
        super().__init__()
        self.by_name = by_name
        self.pe_embedder = nn.Identity()
        self.img_in, self.txt_in, self.time_in = (nn.Linear(size, WIDTH) for size in (4, 5, 1))
        self.double_blocks = nn.ModuleList(DoubleBlock() for _ in range(double))
        self.single_blocks = nn.ModuleList(SingleBlock() for _ in range(single))
        self.final_layer = nn.Linear(WIDTH, 4)
        self.forward = self.forward_blocks

    def forward_blocks(self, img, img_ids, txt, txt_ids, timesteps, y_vec, cond=None, guidance=None, **kwargs):
        img, txt, vec = self.img_in(img), self.txt_in(txt), self.time_in(timesteps[:, None])
        pe = self.pe_embedder(torch.linspace(0, 1, txt.shape[1] + img.shape[1])[None, :, None])
        for block in self.double_blocks:
            img, txt = block(img=img, txt=txt, vec=vec, pe=pe) if self.by_name else block(img, txt, vec, pe)
        joined = torch.cat((txt, img), 1)
        for block in self.single_blocks:
            joined = block(joined, vec=vec, pe=pe) if self.by_name else block(joined, vec, pe)
        return self.final_layer(joined[:, txt.shape[1] :])
