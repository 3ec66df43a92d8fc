"""The world the embedded model knows: coloured shapes that move or spin over a background, and their sentences."""

import math
import random
from collections.abc import Iterator

import attrs
import torch

FRAMES, HEIGHT, WIDTH, FPS = 17, 64, 64, 8

COLOURS: dict[str, tuple[float, float, float]] = {
    "red": (0.90, 0.10, 0.10),
    "green": (0.10, 0.85, 0.20),
    "blue": (0.12, 0.25, 0.95),
    "yellow": (0.98, 0.90, 0.10),
    "purple": (0.62, 0.12, 0.80),
    "white": (0.97, 0.97, 0.97),
}
SHAPES = ("circle", "square", "triangle")
DIRECTIONS: dict[str, tuple[float, float]] = {
    "left": (-1.0, 0.0),
    "right": (1.0, 0.0),
    "up": (0.0, -1.0),
    "down": (0.0, 1.0),
}
MOTIONS = (*(f"moves {direction}" for direction in DIRECTIONS), "spins")
BACKGROUNDS = ("a night sky", "a meadow", "a desert", "the sea")

HELD_OUT_SHARE = 0.2
"""Share of all sentences that training never draws, so that adherence is measured on prompts it has not seen."""


@attrs.frozen
class Sprite:
    """One object and what it does, in the words of the prompt."""

    colour: str
    shape: str
    motion: str

    @property
    def phrase(self) -> str:
        return f"a {self.colour} {self.shape} {self.motion}"

    @property
    def direction(self) -> str | None:
        """`left`, `right`, `up` or `down`; None where it spins in place."""
        return self.motion.removeprefix("moves ") if self.motion.startswith("moves ") else None


@attrs.frozen
class Scene:
    """One or two sprites over a background: what a prompt says and a clip shows."""

    sprites: tuple[Sprite, ...]
    background: str

    @property
    def prompt(self) -> str:
        """`a red circle moves left over a night sky and a white triangle spins`."""
        first, *others = (sprite.phrase for sprite in self.sprites)
        return " and ".join([f"{first} over {self.background}", *others])

    @property
    def held_out(self) -> bool:
        """Whether training leaves this sentence out; decided by the sentence alone."""
        return random.Random(self.prompt).random() < HELD_OUT_SHARE


def draw_sprite(rng: random.Random) -> Sprite:
    shape = rng.choice(SHAPES)
    motions = MOTIONS[:-1] if shape == "circle" else MOTIONS
    return Sprite(rng.choice(list(COLOURS)), shape, rng.choice(motions))


def draw_scenes(seed: int, *, held_out: bool, sprites: int | None = None, single_share: float = 0.6) -> Iterator[Scene]:
    """Seeded scenes without end, of the training sentences or of the held-out ones.

    `sprites` fixes the number of objects; None draws one (`single_share` of the time) or two of different colours.
    """
    rng = random.Random(seed)
    while True:
        count = sprites or (1 if rng.random() < single_share else 2)
        drawn = tuple(draw_sprite(rng) for _ in range(count))
        scene = Scene(drawn, rng.choice(BACKGROUNDS))
        if len({sprite.colour for sprite in drawn}) == count and scene.held_out == held_out:
            yield scene


def background(name: str) -> torch.Tensor:
    """The background's picture, `[3, H, W]` in [0, 1]; the same in every clip."""
    y = torch.linspace(0, 1, HEIGHT)[:, None].expand(HEIGHT, WIDTH)
    x = torch.linspace(0, 1, WIDTH)[None, :].expand(HEIGHT, WIDTH)

    def blend(a: tuple[float, ...], b: tuple[float, ...], weight: torch.Tensor) -> torch.Tensor:
        return torch.stack([p + (q - p) * weight for p, q in zip(a, b, strict=True)])

    if name == "a night sky":
        sky = blend((0.02, 0.02, 0.09), (0.10, 0.09, 0.26), y)
        for star_x, star_y in ((0.13, 0.18), (0.37, 0.42), (0.62, 0.12), (0.86, 0.30), (0.22, 0.72), (0.74, 0.66)):
            glow = torch.exp(-((x - star_x) ** 2 + (y - star_y) ** 2) * 1500)
            sky = sky + 0.6 * glow
        return sky.clamp(0, 1)
    if name == "a meadow":
        hill = torch.sigmoid((y - 0.55 + 0.06 * torch.sin(2 * math.pi * x)) * 60)
        return blend((0.45, 0.62, 0.75), (0.16, 0.36, 0.12), hill)
    if name == "a desert":
        dune = torch.sigmoid((y - 0.6 - 0.08 * torch.sin(2 * math.pi * x + 1)) * 60)
        return blend((0.62, 0.50, 0.46), (0.55, 0.40, 0.22), dune)
    if name == "the sea":
        waves = 0.5 + 0.5 * torch.sin(2 * math.pi * 4 * y)
        return blend((0.03, 0.26, 0.36), (0.08, 0.36, 0.46), waves)
    raise ValueError(f"no background named {name!r}; there are {', '.join(BACKGROUNDS)}")


def coverage(shape: str, centre: torch.Tensor, angle: torch.Tensor, radius: float) -> torch.Tensor:
    """How much of each pixel the shape covers, `[F, H, W]` in [0, 1], from its signed distance.

    `centre` is `[F, 2]` (x, y) in pixels, `angle` `[F]` in radians, `radius` the shape's reach in pixels.
    """
    y, x = torch.meshgrid(torch.arange(HEIGHT) + 0.5, torch.arange(WIDTH) + 0.5, indexing="ij")
    dx, dy = x - centre[:, 0, None, None], y - centre[:, 1, None, None]
    cos, sin = torch.cos(angle)[:, None, None], torch.sin(angle)[:, None, None]
    dx, dy = cos * dx + sin * dy, cos * dy - sin * dx
    if shape == "circle":
        distance = (dx.square() + dy.square()).sqrt() - 0.9 * radius
    elif shape == "square":
        distance = torch.maximum(dx.abs(), dy.abs()) - 0.8 * radius
    elif shape == "triangle":
        sides = [dx * math.sin(turn) + dy * math.cos(turn) for turn in (0, 2 * math.pi / 3, 4 * math.pi / 3)]
        distance = torch.stack(sides).amax(0) - 0.6 * radius
    else:
        raise ValueError(f"no shape named {shape!r}; there are {', '.join(SHAPES)}")
    return (0.5 - distance).clamp(0, 1)


@attrs.frozen
class Path:
    """Where a sprite is in each frame: `centre` `[F, 2]` in pixels, `angle` `[F]` in radians."""

    centre: torch.Tensor
    angle: torch.Tensor
    radius: float


@attrs.frozen
class Field:
    """The part of the frame that a sprite and its path stay in, in pixels."""

    left: float = 0.0
    top: float = 0.0
    right: float = WIDTH
    bottom: float = HEIGHT


SINGLE_RADIUS, PAIR_RADIUS = (9.0, 12.0), (8.5, 10.0)
SINGLE_TRAVEL, PAIR_TRAVEL = (24.0, 34.0), (18.0, 24.0)
"""Pixels: how large a sprite is and how far it goes, alone or as one of two."""
TURN = (0.5 * math.pi, 0.65 * math.pi)
"""Radians by which a spinning sprite turns in a clip, from upright: 22 to 29 degrees from one latent frame to the next.
A square that turns by twice that is half-way to looking the same again, and comes out round."""


def draw_path(sprite: Sprite, rng: random.Random, field: Field, radius: float, travel: tuple[float, float]) -> Path:
    """A path that stays in `field`; as long as `travel` says, or as the field allows."""
    time = torch.linspace(0, 1, FRAMES)
    margin = radius + 1
    if sprite.direction is None:
        x = rng.uniform(field.left + margin, field.right - margin)
        y = rng.uniform(field.top + margin, field.bottom - margin)
        return Path(torch.tensor([x, y]).expand(FRAMES, 2), rng.uniform(*TURN) * time, radius)
    dx, dy = DIRECTIONS[sprite.direction]
    length = (field.right - field.left) * abs(dx) + (field.bottom - field.top) * abs(dy)
    gone = min(rng.uniform(*travel), length - 2 * margin)

    def start(low: float, high: float, heading: float) -> float:
        return rng.uniform(low + margin + gone * (heading < 0), high - margin - gone * (heading > 0))

    begin = torch.tensor([start(field.left, field.right, dx), start(field.top, field.bottom, dy)])
    return Path(begin + gone * time[:, None] * torch.tensor([dx, dy]), torch.zeros(FRAMES), radius)


def share_frame(scene: Scene, radii: tuple[float, float], rng: random.Random) -> tuple[Field, Field]:
    """Where each of two sprites moves: the first named above the second if both go left or right, else left of it.

    One that crosses the frame sideways gets all that the other, as narrow as it is, leaves free.
    """
    sideways = [sprite.direction in ("left", "right") for sprite in scene.sprites]
    size = HEIGHT if all(sideways) else WIDTH
    narrow = [2 * (radius + 1) for radius in radii]
    if sum(sideways) == 1:
        border = size - narrow[1] if sideways[0] else narrow[0]
    else:
        border = rng.uniform(narrow[0], size - narrow[1])
    if all(sideways):
        return Field(bottom=border), Field(top=border)
    return Field(right=border), Field(left=border)


def draw_paths(scene: Scene, rng: random.Random) -> list[Path]:
    """A path a sprite; two never overlap."""
    if len(scene.sprites) == 1:
        return [draw_path(scene.sprites[0], rng, Field(), rng.uniform(*SINGLE_RADIUS), SINGLE_TRAVEL)]
    radii = (rng.uniform(*PAIR_RADIUS), rng.uniform(*PAIR_RADIUS))
    fields = share_frame(scene, radii, rng)
    return [
        draw_path(sprite, rng, field, radius, PAIR_TRAVEL)
        for sprite, field, radius in zip(scene.sprites, fields, radii, strict=True)
    ]


def render(scene: Scene, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """A clip `[3, F, H, W]` in [-1, 1] of the scene, and the mask `[F, H, W]` of its sprites.

    The seed settles what the sentence leaves open: sizes, places, speeds.
    """
    rng = random.Random(f"{scene.prompt}/{seed}")
    frames = background(scene.background)[:, None].expand(3, FRAMES, HEIGHT, WIDTH)
    mask = torch.zeros(FRAMES, HEIGHT, WIDTH)
    for sprite, path in zip(scene.sprites, draw_paths(scene, rng), strict=True):
        cover = coverage(sprite.shape, path.centre, path.angle, path.radius)
        colour = torch.tensor(COLOURS[sprite.colour])[:, None, None, None]
        frames = frames + (colour - frames) * cover
        mask = torch.maximum(mask, cover)
    return frames * 2 - 1, mask
