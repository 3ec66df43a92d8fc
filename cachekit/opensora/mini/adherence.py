"""How well opensora-mini does what its prompts say: `python -m cachekit.opensora.mini.adherence`.

On seeded prompts of one moving object that training never drew: is the named colour the colour seen, and the named
direction the one it moves in? The object is what differs from the background, whose picture is known.
"""

from __future__ import annotations

from pathlib import Path

import attrs
import click
import torch

from cachekit.generation.generate import Request, generate
from cachekit.opensora.mini import scenes
from cachekit.opensora.mini.model import OpenSoraMini

DIFFERENT = 0.2
"""Difference from the background, in any channel of [0, 1], from which a pixel belongs to the object."""
LEAST_TRAVEL = 8.0
"""Pixels that the object's centre must travel to count as moving."""


@attrs.frozen
class Seen:
    """What a video shows."""

    colour: str | None
    direction: str | None


def look(frames: torch.Tensor, background: str) -> Seen:
    """The colour and direction of the object in frames `[T, H, W, 3]` (uint8); None where there is none to see."""
    picture = scenes.background(background).permute(1, 2, 0)
    pixels = frames.float() / 255
    mask = (pixels - picture).abs().amax(-1) > DIFFERENT
    if mask.flatten(1).sum(1).min() == 0:
        return Seen(None, None)
    seen = pixels[mask].median(0).values
    colour = min(scenes.COLOURS, key=lambda name: float((seen - torch.tensor(scenes.COLOURS[name])).norm()))
    return Seen(colour, direction_of(mask))


def direction_of(mask: torch.Tensor) -> str | None:
    """Where the centre of the mask `[T, H, W]` travels from the first three frames to the last three."""
    rows, columns = torch.arange(mask.shape[1]).float(), torch.arange(mask.shape[2]).float()
    weight = mask.float()
    area = weight.sum((1, 2))
    x, y = (weight.sum(1) @ columns) / area, (weight.sum(2) @ rows) / area
    dx, dy = float(x[-3:].mean() - x[:3].mean()), float(y[-3:].mean() - y[:3].mean())
    if max(abs(dx), abs(dy)) < LEAST_TRAVEL:
        return None
    if abs(dx) > abs(dy):
        return "right" if dx > 0 else "left"
    return "down" if dy > 0 else "up"


@attrs.frozen
class Adherence:
    """Over all videos: how often the colour and the direction were those named."""

    videos: int
    colour: float
    direction: float
    misses: list[str]


def measure(model: OpenSoraMini, count: int, seed: int) -> Adherence:
    """Generate `count` held-out prompts of one moving object, uncached, and look at each."""
    pipeline = model.load(device="cpu", dtype=None)
    drawn = scenes.draw_scenes(seed, held_out=True, sprites=1)
    moving = (scene for scene in drawn if scene.sprites[0].direction is not None)
    colours = directions = 0
    misses = []
    for number, scene in zip(range(count), moving, strict=False):
        made = generate(
            pipeline, Request(scene.prompt, number), None, steps=model.steps, guidance_scale=model.guidance_scale
        )
        seen, named = look(made.frames, scene.background), scene.sprites[0]
        colours += seen.colour == named.colour
        directions += seen.direction == named.direction
        if (seen.colour, seen.direction) != (named.colour, named.direction):
            misses.append(f"{scene.prompt!r} (seed {number}): saw {seen.colour}, {seen.direction}")
    return Adherence(count, colours / count, directions / count, misses)


@click.command()
@click.option("--videos", type=int, default=64, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True, help="Of the prompts drawn.")
@click.option("--weights", type=click.Path(path_type=Path), help="Weights other than the shipped ones.")
def main(videos: int, seed: int, weights: Path | None) -> None:
    """Measure how well opensora-mini does what held-out prompts say."""
    adherence = measure(OpenSoraMini(str(weights) if weights else None), videos, seed)
    click.echo(f"{adherence.videos} videos: colour {adherence.colour:.1%}, direction {adherence.direction:.1%}")
    for miss in adherence.misses:
        click.echo(f"  {miss}")


if __name__ == "__main__":
    main()
