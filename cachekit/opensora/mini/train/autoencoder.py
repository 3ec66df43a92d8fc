"""Stage 1: train the autoencoder on rendered clips; stage 3: its decoder alone, once the transformer is there."""

from pathlib import Path

import attrs
import torch

from cachekit.opensora.mini.autoencoder import Autoencoder, AutoencoderConfig
from cachekit.opensora.mini.train.checkpoints import Checkpoint, ProgressLog, step_generator, warmup_then_decay
from cachekit.opensora.mini.train.clips import EVENLY, Clips, Draw


@attrs.frozen
class AutoencoderRecipe:
    steps: int = 3000
    batch: int = 16
    learning_rate: float = 2e-3
    sprite_weight: float = 3.0
    """Extra weight of the pixels that sprites cover: they are few, and all the prompt is about."""
    edge_weight: float = 0.5
    latent_noise: float = 0.1
    """Noise added to latents in training, so that the decoder forgives the transformer's small errors."""
    latent_penalty: float = 1e-3
    draw: Draw = EVENLY
    seed: int = 0


def edges(video: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return video.diff(dim=-1), video.diff(dim=-2)


def reconstruction_loss(
    decoded: torch.Tensor, video: torch.Tensor, mask: torch.Tensor, recipe: AutoencoderRecipe
) -> torch.Tensor:
    """Mean absolute error, sprites weighted, plus that of the spatial differences."""
    weight = 1 + recipe.sprite_weight * mask[:, None]
    error = ((decoded - video).abs() * weight).mean()
    for got, wanted in zip(edges(decoded), edges(video), strict=True):
        error = error + recipe.edge_weight * (got - wanted).abs().mean()
    return error


GOING_ON = AutoencoderRecipe(steps=500, batch=12, learning_rate=1e-3, draw=Draw(square_spins=4.0, single=0.5))
"""For an autoencoder that was trained before: small squares that spin, as one of two objects, came out round."""


def train_autoencoder(
    folder: Path, clips: Clips, recipe: AutoencoderRecipe, start: Autoencoder | None = None
) -> Autoencoder:
    """Train (or go on training) in `folder`; the result carries the latents' mean and deviation.

    Those of `start`, which training then begins with, stay: a transformer that knows its latents knows these.
    """
    torch.manual_seed(recipe.seed)
    model = start.train() if start is not None else Autoencoder(AutoencoderConfig())
    weights = recipe.draw.weights(clips.prompts)
    optimizer = torch.optim.AdamW(model.parameters(), lr=recipe.learning_rate, betas=(0.9, 0.98), weight_decay=1e-4)
    checkpoint = Checkpoint(folder / "autoencoder.pt", {"model": model, "optimizer": optimizer})
    log = ProgressLog(every=50)
    for step in range(checkpoint.load(), recipe.steps):
        generator = step_generator(recipe.seed, step)
        video, mask = clips.batch(torch.multinomial(weights, recipe.batch, generator=generator))
        for group in optimizer.param_groups:
            group["lr"] = recipe.learning_rate * warmup_then_decay(step, recipe.steps, warmup=100, decay_share=0.6)
        with torch.autocast("cpu", torch.bfloat16):
            latents = model.raw_encode(video)
            noise = torch.randn(latents.shape, generator=generator) * recipe.latent_noise
            decoded = model.raw_decode(latents + noise)
        loss = reconstruction_loss(decoded.float(), video, mask, recipe)
        loss = loss + recipe.latent_penalty * latents.float().square().mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        log.step(step, loss.item())
        checkpoint.save_when_due(step + 1)
    checkpoint.save(recipe.steps)
    if start is None:
        measure_latents(model, clips)
    return model.eval()


@attrs.frozen
class DecoderRecipe:
    steps: int = 400
    batch: int = 8
    learning_rate: float = 6e-4
    latent_noise: float = 0.1
    """Noise added to the normalised latents, as in the first stage."""
    loss: AutoencoderRecipe = AutoencoderRecipe()
    """Whose weights the loss has."""
    seed: int = 0


def train_decoder(folder: Path, model: Autoencoder, latents: torch.Tensor, clips: Clips, recipe: DecoderRecipe) -> None:
    """Train the decoder on while the encoder stands: the latents `[N, C, t, h, w]` of the clips stay what they are."""
    decoder = [
        parameter for name, parameter in model.named_parameters() if name.startswith(("from_latents.", "decode_"))
    ]
    optimizer = torch.optim.AdamW(decoder, lr=recipe.learning_rate, betas=(0.9, 0.98), weight_decay=1e-4)
    checkpoint = Checkpoint(folder / "decoder.pt", {"model": model, "optimizer": optimizer})
    log = ProgressLog(every=20)
    mean, deviation = (values[:, None, None, None] for values in (model.latent_mean, model.latent_std))
    for step in range(checkpoint.load(), recipe.steps):
        generator = step_generator(recipe.seed, step)
        chosen = torch.randint(len(latents), (recipe.batch,), generator=generator)
        video, mask = clips.batch(chosen)
        noise = torch.randn(recipe.batch, *latents.shape[1:], generator=generator) * recipe.latent_noise
        for group in optimizer.param_groups:
            group["lr"] = recipe.learning_rate * warmup_then_decay(step, recipe.steps, warmup=20, decay_share=0.7)
        decoded = model.raw_decode((latents[chosen] + noise) * deviation + mean)
        loss = reconstruction_loss(decoded, video, mask, recipe.loss)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(decoder, 1.0)
        optimizer.step()
        log.step(step, loss.item())
        checkpoint.save_when_due(step + 1)
    checkpoint.save(recipe.steps)


@torch.no_grad()
def measure_latents(model: Autoencoder, clips: Clips, count: int = 512) -> None:
    """Set the latents' mean and deviation per channel from the first `count` clips."""
    raw = torch.cat([model.raw_encode(clips.batch(indices)[0]) for indices in torch.arange(count).split(32)])
    model.latent_mean.copy_(raw.mean(dim=(0, 2, 3, 4)))
    model.latent_std.copy_(raw.std(dim=(0, 2, 3, 4)))
