"""How well opensora-mini does what its prompts say: `python -m cachekit.opensora.mini.adherence`.

On seeded prompts that training never drew, of one object and of two: is each colour there, has each object its own
shape and motion, is it the background that was named?
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import attrs
import click

from cachekit.generation.generate import Request, generate
from cachekit.opensora.mini import scenes
from cachekit.opensora.mini.model import OpenSoraMini
from cachekit.opensora.mini.sight import Seen, look


@attrs.frozen
class Verdict:
    """Whether a video shows what its prompt says; of two objects both must, and no further object is asked for."""

    colour: bool
    shape: bool
    motion: bool
    background: bool
    nothing_else: bool


@attrs.frozen
class Adherence:
    """How often videos of so many objects were right, each share in [0, 1]."""

    objects: int
    videos: int
    shares: dict[str, float]
    """By the names of a `Verdict`."""
    misses: list[str]


def judge(scene: scenes.Scene, seen: Seen) -> Verdict:
    """An object whose colour isn't there has neither its shape nor its motion."""
    there = [sprite for sprite in scene.sprites if sprite.colour in seen.objects]
    every = len(there) == len(scene.sprites)
    return Verdict(
        colour=every,
        shape=every and all(seen.objects[sprite.colour].shape == sprite.shape for sprite in there),
        motion=every and all(seen.objects[sprite.colour].motion == sprite.motion for sprite in there),
        background=seen.background == scene.background,
        nothing_else=seen.others == 0,
    )


def describe(seen: Seen) -> str:
    objects = [f"{colour} {one.shape or 'lump'} {one.motion or 'stays'}" for colour, one in seen.objects.items()]
    others = [f"{seen.others} other{'s' * (seen.others > 1)}"] if seen.others else []
    return f"{', '.join([*objects, *others]) or 'nothing'} over {seen.background or 'no known background'}"


def measure(model: OpenSoraMini, objects: int, count: int, seed: int) -> Adherence:
    """Generate `count` held-out prompts of so many objects, uncached, and look at each."""
    pipeline = model.load(device="cpu", dtype=None)
    verdicts, misses = [], []
    for number, scene in zip(range(count), scenes.draw_scenes(seed, held_out=True, sprites=objects), strict=False):
        made = generate(
            pipeline, Request(scene.prompt, number), None, steps=model.steps, guidance_scale=model.guidance_scale
        )
        seen = look(made.frames, [sprite.colour for sprite in scene.sprites])
        verdict = judge(scene, seen)
        verdicts.append(verdict)
        if not all(attrs.astuple(verdict)):
            misses.append(f"{scene.prompt!r} (seed {number}): {describe(seen)}")
    return Adherence(objects, count, shares_of(verdicts), misses)


def shares_of(verdicts: Sequence[Verdict]) -> dict[str, float]:
    """The share of verdicts that are true, by name."""
    names = [field.name for field in attrs.fields(Verdict)]
    return {name: sum(getattr(verdict, name) for verdict in verdicts) / len(verdicts) for name in names}


@click.command()
@click.option("--videos", type=click.IntRange(min=1), default=64, show_default=True, help="Of one object, and of two.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the prompts drawn.")
@click.option("--weights", type=click.Path(path_type=Path), help="Weights other than the shipped ones.")
def main(videos: int, seed: int, weights: Path | None) -> None:
    """Measure how well opensora-mini does what held-out prompts say."""
    model = OpenSoraMini(str(weights) if weights else None)
    click.echo("| objects | videos | colour | shape | motion | background | nothing else |")
    click.echo("|---|---|---|---|---|---|---|")
    measured = []
    for objects in (1, 2):
        measured.append(measure(model, objects, videos, seed))
        shares = " | ".join(f"{share:.1%}" for share in measured[-1].shares.values())
        click.echo(f"| {objects} | {videos} | {shares} |")
    for miss in (miss for adherence in measured for miss in adherence.misses):
        click.echo(f"  {miss}")


if __name__ == "__main__":
    main()
