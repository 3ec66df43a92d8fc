"""Train the embedded model: `python -m cachekit.opensora.mini.train --folder training/ --start first.safetensors`."""

from pathlib import Path

import attrs
import click

from cachekit.opensora.mini.autoencoder import Autoencoder, AutoencoderConfig
from cachekit.opensora.mini.train.autoencoder import (
    GOING_ON,
    AutoencoderRecipe,
    DecoderRecipe,
    train_autoencoder,
    train_decoder,
)
from cachekit.opensora.mini.train.clips import load_or_render
from cachekit.opensora.mini.train.export import export, read_part
from cachekit.opensora.mini.train.transformer import (
    EncodedClips,
    TransformerRecipe,
    encode_clips,
    render_chunks,
    train_transformer,
)


@click.command()
@click.option("--folder", type=click.Path(path_type=Path), default="training", show_default=True)
@click.option(
    "--start",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Weights to begin with; from nothing without.",
)
@click.option("--autoencoder-steps", type=int, help="[default: 3000; with --start 0, which keeps its autoencoder]")
@click.option("--autoencoder-clips", type=int, default=6000, show_default=True)
@click.option("--transformer-steps", type=int, default=TransformerRecipe().steps, show_default=True)
@click.option("--transformer-clips", type=int, default=5000, show_default=True)
@click.option("--decoder-steps", type=int, default=DecoderRecipe().steps, show_default=True)
@click.option("--decoder-clips", type=int, default=3000, show_default=True)
def main(
    folder: Path,
    start: Path | None,
    autoencoder_steps: int | None,
    autoencoder_clips: int,
    transformer_steps: int,
    transformer_clips: int,
    decoder_steps: int,
    decoder_clips: int,
) -> None:
    """Train autoencoder, transformer and, last, the decoder; the same command goes on where it was stopped."""
    folder.mkdir(parents=True, exist_ok=True)
    known, recipe = None, AutoencoderRecipe()
    if start is not None:
        known, recipe = Autoencoder(AutoencoderConfig()), GOING_ON
        known.load_state_dict(read_part(start, "autoencoder"))
    if known is None or autoencoder_steps:
        clips = load_or_render(folder / "clips.pt", autoencoder_clips, seed=1)
        recipe = attrs.evolve(recipe, steps=recipe.steps if autoencoder_steps is None else autoencoder_steps)
        autoencoder = train_autoencoder(folder, clips, recipe, known)
    else:
        autoencoder = known.eval()
    latents = folder / "latents"
    encode_clips(latents, autoencoder, transformer_clips, seed=1000)
    flow = train_transformer(folder, latents, start, TransformerRecipe(steps=transformer_steps))
    encoded = EncodedClips.read(latents).latents[:decoder_clips]
    shown = render_chunks(len(encoded), seed=1000)
    train_decoder(folder, autoencoder, encoded, shown, DecoderRecipe(steps=decoder_steps))
    export(folder / "weights.safetensors", autoencoder, flow)


if __name__ == "__main__":
    main()
