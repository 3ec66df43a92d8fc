"""Stage 2: train the transformer and its text encoder as a rectified flow on the clips' latents."""

import math
from pathlib import Path

import attrs
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from cachekit.opensora.mini import scenes
from cachekit.opensora.mini.autoencoder import Autoencoder
from cachekit.opensora.mini.text import TextConfig, TextEncoder
from cachekit.opensora.mini.train.checkpoints import Checkpoint, ProgressLog, step_generator, warmup_then_decay
from cachekit.opensora.mini.train.clips import render_clips
from cachekit.opensora.stdit3 import STDiT3, STDiT3Config

CHUNK = 1000
"""Clips rendered at a time."""

MINI_CONFIG = STDiT3Config(
    in_channels=8,
    hidden_size=160,
    depth=6,
    num_heads=5,
    caption_channels=TextConfig().channels,
    model_max_length=TextConfig().max_length,
    pred_sigma=False,
    input_sq_size=64,
)


@attrs.frozen
class TransformerRecipe:
    steps: int = 3600
    batch: int = 48
    muon_learning_rate: float = 0.01
    """For the matrices of the blocks (torch.optim.Muon)."""
    adamw_learning_rate: float = 1e-3
    """For everything else."""
    ema: float = 0.998
    seed: int = 0
    compile: bool = True


class Flow(nn.Module):
    """Text encoder and transformer together: the loss of a batch."""

    def __init__(self) -> None:
        super().__init__()
        self.text = TextEncoder(TextConfig())
        self.transformer = STDiT3(MINI_CONFIG)

    def forward(
        self, latents: torch.Tensor, noise: torch.Tensor, t: torch.Tensor, tokens: torch.Tensor
    ) -> torch.Tensor:
        """Mean squared error of the velocity `latents - noise` at times `t` `[B]` in (0, 1), 1 being noise."""
        mixed = latents + (noise - latents) * t[:, None, None, None, None]
        captions, mask = self.text(tokens)
        side = torch.full((len(latents),), float(scenes.HEIGHT))
        velocity = self.transformer(
            mixed, t * 1000, captions, mask, fps=torch.full_like(side, scenes.FPS), height=side, width=side
        )
        return (velocity - (latents - noise)).square().mean()


@attrs.frozen
class EncodedClips:
    """Normalised latents `[N, C, t, h, w]` of clips, and the prompt of each."""

    latents: torch.Tensor
    prompts: list[str]


@torch.no_grad()
def encode_clips(path: Path, autoencoder: Autoencoder, count: int, seed: int) -> EncodedClips:
    """Render and encode `count` clips, a few at a time; kept in `path`, and read from there where it exists."""
    if path.exists():
        return EncodedClips(**torch.load(path, weights_only=True))
    latents, prompts = [], []
    for chunk in range(math.ceil(count / CHUNK)):
        clips = render_clips(min(CHUNK, count - chunk * CHUNK), seed + chunk)
        for indices in torch.arange(len(clips.prompts)).split(32):
            with torch.autocast("cpu", torch.bfloat16):
                latents.append(autoencoder.encode(clips.batch(indices)[0]).float())
        prompts += clips.prompts
    encoded = EncodedClips(torch.cat(latents), prompts)
    torch.save(attrs.asdict(encoded), path)
    return encoded


def split_parameters(flow: Flow) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """The blocks' matrices, for Muon, and all other parameters, for AdamW."""
    matrices: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for name, parameter in flow.named_parameters():
        in_block = "_blocks." in name and "table" not in name
        if parameter.requires_grad:
            (matrices if in_block and parameter.ndim == 2 else others).append(parameter)
    return matrices, others


def train_transformer(folder: Path, clips: EncodedClips, recipe: TransformerRecipe) -> Flow:
    """Train (or go on training) in `folder`; returns the moving average of the weights."""
    torch.manual_seed(recipe.seed)
    flow = Flow()
    average = AveragedModel(flow, multi_avg_fn=get_ema_multi_avg_fn(recipe.ema), use_buffers=True)
    matrices, others = split_parameters(flow)
    muon = torch.optim.Muon(matrices, lr=recipe.muon_learning_rate, weight_decay=0.01)
    adamw = torch.optim.AdamW(others, lr=recipe.adamw_learning_rate, betas=(0.9, 0.98), weight_decay=0.01)
    rates = {muon: recipe.muon_learning_rate, adamw: recipe.adamw_learning_rate}
    parts = {"flow": flow, "average": average, "muon": muon, "adamw": adamw}
    checkpoint = Checkpoint(folder / "transformer.pt", parts)
    log = ProgressLog(every=50)
    tokens = flow.text.tokens(clips.prompts)
    loss_of = torch.compile(flow) if recipe.compile else flow
    for step in range(checkpoint.load(), recipe.steps):
        generator = step_generator(recipe.seed, step)
        torch.manual_seed(step)
        chosen = torch.randint(len(clips.prompts), (recipe.batch,), generator=generator)
        clean = clips.latents[chosen]
        noise = torch.randn(clean.shape, generator=generator)
        t = torch.sigmoid(torch.randn(recipe.batch, generator=generator))
        factor = warmup_then_decay(step, recipe.steps, warmup=100, decay_share=0.4)
        for optimizer, rate in rates.items():
            for group in optimizer.param_groups:
                group["lr"] = rate * factor
        loss = loss_of(clean, noise, t, tokens[chosen])
        for optimizer in rates:
            optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(flow.parameters(), 1.0)
        for optimizer in rates:
            optimizer.step()
        average.update_parameters(flow)
        log.step(step, loss.item())
        checkpoint.save_when_due(step + 1)
    checkpoint.save(recipe.steps)
    averaged = average.module
    assert isinstance(averaged, Flow)
    return averaged.eval()
