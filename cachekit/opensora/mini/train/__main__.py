"""Train the embedded model from nothing: `python -m cachekit.opensora.mini.train --folder training/`."""

from pathlib import Path

import click

from cachekit.opensora.mini.train.autoencoder import AutoencoderRecipe, train_autoencoder
from cachekit.opensora.mini.train.clips import load_or_render


@click.command()
@click.option("--folder", type=click.Path(path_type=Path), default="training", show_default=True)
@click.option("--autoencoder-steps", type=int, default=AutoencoderRecipe().steps, show_default=True)
@click.option("--clips", "clip_count", type=int, default=6000, show_default=True)
def main(folder: Path, autoencoder_steps: int, clip_count: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    clips = load_or_render(folder / "clips.pt", clip_count, seed=1)
    train_autoencoder(folder, clips, AutoencoderRecipe(steps=autoencoder_steps))


if __name__ == "__main__":
    main()
