"""Stage 2: train the transformer and its text encoder as a rectified flow on the clips' latents."""

import math
import socket
from pathlib import Path

import attrs
import torch
from safetensors.torch import load_file
from torch import distributed, nn
from torch.multiprocessing.spawn import spawn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from cachekit.opensora.mini import scenes
from cachekit.opensora.mini.autoencoder import Autoencoder
from cachekit.opensora.mini.text import TextConfig, TextEncoder
from cachekit.opensora.mini.train.checkpoints import Checkpoint, ProgressLog, step_generator, warmup_then_decay
from cachekit.opensora.mini.train.clips import Clips, Draw, render_clips
from cachekit.opensora.mini.train.muon import Muon
from cachekit.opensora.stdit3 import STDiT3, STDiT3Config

CHUNK = 1000
"""Clips rendered at a time."""
SINGLE_SHARE = 0.5
"""Clips of one object; the rest have two, which is what is hard. With 0.3, one object alone came out elongated."""

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
    steps: int = 700
    batch: int = 24
    """Over all workers."""
    muon_learning_rate: float = 0.006
    """For the matrices of the blocks."""
    adamw_learning_rate: float = 8e-4
    """For everything else."""
    ema: float = 0.995
    time_mean: float = 0.9
    time_deviation: float = 1.6
    """Times are logistic of a normal: near noise it is settled what stands where, near the clip what shape it has."""
    draw: Draw = attrs.field(factory=Draw)
    workers: int = 2
    """Processes of one thread each, which share a step's batch: they wait for each other once a step, threads at every
    operation."""
    compile: bool = True
    """1.8 times as many steps a second on the CPU, after two minutes of compiling."""
    seed: int = 0


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

    @classmethod
    def read(cls, folder: Path) -> "EncodedClips":
        """All chunks in a folder of `encode_clips`."""
        chunks = [torch.load(path, weights_only=True) for path in sorted(folder.glob("*.pt"))]
        return cls(
            torch.cat([chunk["latents"] for chunk in chunks]),
            [prompt for chunk in chunks for prompt in chunk["prompts"]],
        )


def render_chunk(count: int, seed: int) -> Clips:
    return render_clips(count, seed, single_share=SINGLE_SHARE)


def render_chunks(count: int, seed: int) -> Clips:
    """The first `count` clips that `encode_clips` encodes, as they look."""
    chunks = [render_chunk(min(CHUNK, count - first), seed + first // CHUNK) for first in range(0, count, CHUNK)]
    return Clips(
        torch.cat([chunk.frames for chunk in chunks]),
        torch.cat([chunk.masks for chunk in chunks]),
        [prompt for chunk in chunks for prompt in chunk.prompts],
    )


@torch.no_grad()
def encode_clips(folder: Path, autoencoder: Autoencoder, count: int, seed: int) -> None:
    """Render and encode `count` clips, a file a thousand in `folder`; files that are there stay."""
    folder.mkdir(exist_ok=True)
    for chunk in range(math.ceil(count / CHUNK)):
        path = folder / f"{chunk:04d}.pt"
        if path.exists():
            continue
        clips = render_chunk(min(CHUNK, count - chunk * CHUNK), seed + chunk)
        encoded = [
            autoencoder.encode(clips.batch(indices)[0]) for indices in torch.arange(len(clips.prompts)).split(25)
        ]
        torch.save({"latents": torch.cat(encoded), "prompts": clips.prompts}, path)


def split_parameters(flow: Flow) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """The blocks' matrices, for Muon, and all other parameters, for AdamW."""
    matrices: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for name, parameter in flow.named_parameters():
        in_block = "_blocks." in name and "table" not in name
        if parameter.requires_grad:
            (matrices if in_block and parameter.ndim == 2 else others).append(parameter)
    return matrices, others


def train_transformer(folder: Path, latents: Path, start: Path | None, recipe: TransformerRecipe) -> Flow:
    """Train (or go on training) in `folder` on encoded clips; returns the moving average of the weights.

    `start` is a weights file whose text encoder and transformer training begins with.
    """
    port = socket.create_server(("localhost", 0))
    address = f"tcp://localhost:{port.getsockname()[1]}"
    port.close()
    spawn(_work, (address, folder, latents, start, recipe), nprocs=recipe.workers)
    average = AveragedModel(Flow())
    Checkpoint(folder / "transformer.pt", {"average": average}).load()
    averaged = average.module
    assert isinstance(averaged, Flow)
    return averaged.eval()


def _work(rank: int, address: str, folder: Path, latents: Path, start: Path | None, recipe: TransformerRecipe) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=address, rank=rank, world_size=recipe.workers)
    clips = EncodedClips.read(latents)
    torch.manual_seed(recipe.seed)
    flow = Flow()
    if start is not None:
        known = {key: tensor.float() for key, tensor in load_file(start).items()}
        flow.load_state_dict({key: known.get(key, tensor) for key, tensor in flow.state_dict().items()})
    average = AveragedModel(flow, multi_avg_fn=get_ema_multi_avg_fn(recipe.ema), use_buffers=True)
    matrices, others = split_parameters(flow)
    muon = Muon(matrices, lr=recipe.muon_learning_rate)
    adamw = torch.optim.AdamW(others, lr=recipe.adamw_learning_rate, betas=(0.9, 0.98), weight_decay=0.01)
    rates = {muon: recipe.muon_learning_rate, adamw: recipe.adamw_learning_rate}
    checkpoint = Checkpoint(folder / "transformer.pt", {"flow": flow, "average": average, "muon": muon, "adamw": adamw})
    log = ProgressLog(every=20)
    tokens = flow.text.tokens(clips.prompts)
    weights = recipe.draw.weights(clips.prompts)
    loss_of = torch.compile(flow) if recipe.compile else flow
    for step in range(checkpoint.load(), recipe.steps):
        generator = step_generator(recipe.seed, step)
        torch.manual_seed(step * recipe.workers + rank)
        chosen = torch.multinomial(weights, recipe.batch, generator=generator)
        noise = torch.randn(recipe.batch, *clips.latents.shape[1:], generator=generator)
        normal = torch.randn(recipe.batch, generator=generator)
        t = torch.sigmoid(recipe.time_mean + recipe.time_deviation * normal)
        own = slice(rank, None, recipe.workers)
        factor = warmup_then_decay(step, recipe.steps, warmup=50, decay_share=0.5)
        for optimizer, rate in rates.items():
            for group in optimizer.param_groups:
                group["lr"] = rate * factor
        loss = loss_of(clips.latents[chosen[own]], noise[own], t[own], tokens[chosen[own]])
        for optimizer in rates:
            optimizer.zero_grad(set_to_none=True)
        loss.backward()
        average_gradients([*matrices, *others])
        torch.nn.utils.clip_grad_norm_(flow.parameters(), 1.0)
        for optimizer in rates:
            optimizer.step()
        average.update_parameters(flow)
        if rank == 0:
            log.step(step, loss.item())
            checkpoint.save_when_due(step + 1)
    if rank == 0:
        checkpoint.save(recipe.steps)
    distributed.destroy_process_group()


def average_gradients(parameters: list[nn.Parameter]) -> None:
    """Each parameter's gradient becomes its mean over the workers."""
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    distributed.all_reduce(flat)
    flat /= distributed.get_world_size()
    for gradient, mean in zip(gradients, flat.split([gradient.numel() for gradient in gradients]), strict=True):
        gradient.copy_(mean.view_as(gradient))
