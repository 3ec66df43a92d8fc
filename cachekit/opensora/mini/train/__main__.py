"""Train the embedded model from nothing: `python -m cachekit.opensora.mini.train --folder training/`."""

from pathlib import Path

import click

from cachekit.opensora.mini.train.autoencoder import AutoencoderRecipe, train_autoencoder
from cachekit.opensora.mini.train.clips import load_or_render
from cachekit.opensora.mini.train.export import export
from cachekit.opensora.mini.train.transformer import TransformerRecipe, encode_clips, train_transformer


@click.command()
@click.option("--folder", type=click.Path(path_type=Path), default="training", show_default=True)
@click.option("--autoencoder-steps", type=int, default=AutoencoderRecipe().steps, show_default=True)
@click.option("--autoencoder-clips", type=int, default=6000, show_default=True)
@click.option("--transformer-steps", type=int, default=TransformerRecipe().steps, show_default=True)
@click.option("--transformer-clips", type=int, default=16000, show_default=True)
def main(
    folder: Path, autoencoder_steps: int, autoencoder_clips: int, transformer_steps: int, transformer_clips: int
) -> None:
    """Train autoencoder and transformer; the same command goes on where it was stopped."""
    folder.mkdir(parents=True, exist_ok=True)
    clips = load_or_render(folder / "clips.pt", autoencoder_clips, seed=1)
    autoencoder = train_autoencoder(folder, clips, AutoencoderRecipe(steps=autoencoder_steps))
    encoded = encode_clips(folder / "latents.pt", autoencoder, transformer_clips, seed=1000)
    flow = train_transformer(folder, encoded, TransformerRecipe(steps=transformer_steps))
    export(folder / "weights.safetensors", autoencoder, flow)


if __name__ == "__main__":
    main()
