"""What a video of opensora-mini's world shows, from its pixels alone: background, and objects' shapes and motions.

A pixel of an object is a mixture of the object's colour and the background behind it, whose picture is known, so its
share of the colour is found by projecting on the line between the two. An object's shape is the template that covers
most of those pixels and least beside them; the template's angle, frame by frame, says whether it spins.
"""

import math
from collections.abc import Sequence

import attrs
import torch
from scipy import ndimage  # type: ignore[import-untyped]

from cachekit.opensora.mini import scenes

BACKGROUND_TOLERANCE = 0.1
"""Most that the typical pixel may differ from a background's picture, in [0, 1], for it to be that background."""
COLOUR_TOLERANCE = 0.3
"""Distance in RGB from the line between a colour and the background within which a pixel is a mixture of both."""
LEAST_AREA = 60.0
"""Pixels that an object covers in every frame; the smallest shape of the world covers 130."""
LEAST_OVERLAP = 0.75
"""Intersection over union from which an object is said to have a template's shape."""
LEAST_TRAVEL = 8.0
"""Pixels that an object's centre must travel to count as moving."""
LEAST_TURN = math.radians(60)
"""Angle that an object must turn by, over the whole video, to count as spinning."""

_UNIT_AREA = {"circle": math.pi * 0.9**2, "square": 1.6**2, "triangle": 3 * math.sqrt(3) * 0.6**2}
_SYMMETRY = {"circle": 2 * math.pi, "square": math.pi / 2, "triangle": 2 * math.pi / 3}
_ANGLES = {"circle": 1, "square": 24, "triangle": 32}


@attrs.frozen
class SeenObject:
    """One object of a named colour; shape and motion are None where they are none of the world's."""

    shape: str | None
    motion: str | None
    """`moves left`, ..., `spins`, as in a prompt."""


@attrs.frozen
class Seen:
    """What a video shows."""

    background: str | None
    objects: dict[str, SeenObject]
    """By the colour, of the colours that were looked for and are there in every frame."""
    others: int
    """Further objects: of another colour, or a second one of a named colour, in the typical frame."""


def look(frames: torch.Tensor, colours: Sequence[str]) -> Seen:
    """What frames `[T, H, W, 3]` (uint8) show, with one object looked for in each of `colours`."""
    pixels = frames.float() / 255
    background = nearest_background(pixels)
    if background is None:
        return Seen(None, {}, 0)
    picture = scenes.background(background).permute(1, 2, 0)
    covers = {colour: cover_of(pixels, picture, colour) for colour in scenes.COLOURS}
    objects = {}
    leftover = covered(pixels, picture)
    for colour in colours:
        rivals = [other for other in colours if other != colour]
        mask = largest_part(covers[colour] * nearest_to(pixels, colour, rivals))
        if mask.sum((1, 2)).min() < LEAST_AREA:
            continue
        leftover = leftover & ~grown(mask > 0)
        shape, angles = fit_shape(mask)
        objects[colour] = SeenObject(shape, motion_of(mask, angles))
    return Seen(background, objects, count_parts(leftover))


def nearest_background(pixels: torch.Tensor) -> str | None:
    """The background that the typical pixel of `[T, H, W, 3]` is nearest to, objects being the smaller part."""
    error = {
        name: float((pixels - scenes.background(name).permute(1, 2, 0)).abs().amax(-1).median())
        for name in scenes.BACKGROUNDS
    }
    name = min(error, key=lambda name: error[name])
    return name if error[name] < BACKGROUND_TOLERANCE else None


def cover_of(pixels: torch.Tensor, picture: torch.Tensor, colour: str) -> torch.Tensor:
    """How much of each pixel `[T, H, W]` is of the colour, in [0, 1]; 0 where it is no mixture with the background."""
    line = torch.tensor(scenes.COLOURS[colour]) - picture
    share = ((pixels - picture) * line).sum(-1) / line.square().sum(-1)
    beside = (pixels - picture - share.clamp(0, 1)[..., None] * line).norm(dim=-1)
    return torch.where(beside < COLOUR_TOLERANCE, share.clamp(0, 1), 0.0)


def nearest_to(pixels: torch.Tensor, colour: str, rivals: Sequence[str]) -> torch.Tensor:
    """Where `[T, H, W]` a pixel is nearer to the colour than to any rival (1.0, else 0.0)."""

    def distance(name: str) -> torch.Tensor:
        return (pixels - torch.tensor(scenes.COLOURS[name])).norm(dim=-1)

    nearer = torch.ones(pixels.shape[:-1])
    for rival in rivals:
        nearer = nearer * (distance(colour) < distance(rival))
    return nearer


def largest_part(cover: torch.Tensor) -> torch.Tensor:
    """The cover `[T, H, W]` of each frame's largest connected part alone (with its edge), 0 elsewhere."""
    kept = torch.zeros_like(cover)
    for frame, into in zip(cover, kept, strict=True):
        labels, count = ndimage.label((frame > 0.5).numpy())
        if count:
            sizes = ndimage.sum_labels(frame.numpy(), labels, range(1, count + 1))
            part = torch.from_numpy(labels == int(sizes.argmax()) + 1)
            into.copy_(frame * grown(part[None])[0])
    return kept


def grown(mask: torch.Tensor, by: int = 1) -> torch.Tensor:
    """A mask `[T, H, W]` (bool) and the pixels around it."""
    size = 2 * by + 1
    return torch.nn.functional.max_pool2d(mask.float()[:, None], size, stride=1, padding=by)[:, 0] > 0


def covered(pixels: torch.Tensor, picture: torch.Tensor) -> torch.Tensor:
    """Where `[T, H, W]` something hides the background: more than its own soft edges would."""
    return (pixels - picture).abs().amax(-1) > 0.3


def count_parts(mask: torch.Tensor) -> int:
    """Connected parts of at least `LEAST_AREA` pixels in the typical frame of `[T, H, W]`."""
    counts = []
    for frame in mask:
        labels, count = ndimage.label(frame.numpy())
        sizes = ndimage.sum_labels(frame.numpy(), labels, range(1, count + 1)) if count else []
        counts.append(sum(size >= LEAST_AREA for size in sizes))
    return int(torch.tensor(counts).median())


def centres(cover: torch.Tensor) -> torch.Tensor:
    """Centre `[T, 2]` (x, y) of the cover `[T, H, W]`, in pixels."""
    rows, columns = torch.arange(cover.shape[1]) + 0.5, torch.arange(cover.shape[2]) + 0.5
    return torch.stack([cover.sum(1) @ columns, cover.sum(2) @ rows], dim=1) / cover.sum((1, 2))[:, None]


def fit_shape(cover: torch.Tensor) -> tuple[str | None, torch.Tensor | None]:
    """The shape that fits the cover `[T, H, W]` best over all frames, and its angle `[T]` in each, in radians.

    A template has the cover's centre and its typical area, and any angle; it fits by the sum of the lesser over the
    sum of the greater of both covers. None where nothing fits; no angle for a circle.
    """
    centre, area = centres(cover), float(cover.sum((1, 2)).median())
    overlaps, angles = {}, {}
    for shape in scenes.SHAPES:
        radius = math.sqrt(area / _UNIT_AREA[shape])
        turns = torch.arange(_ANGLES[shape]) * (_SYMMETRY[shape] / _ANGLES[shape])
        fits = torch.stack([overlap(cover, shape, centre, turn.expand(len(cover)), radius) for turn in turns])
        best = fits.max(0)
        overlaps[shape], angles[shape] = float(best.values.mean()), turns[best.indices]
    shape = max(overlaps, key=lambda name: overlaps[name])
    if overlaps[shape] < LEAST_OVERLAP:
        return None, None
    return shape, None if shape == "circle" else unwrap(angles[shape], _SYMMETRY[shape])


def overlap(cover: torch.Tensor, shape: str, centre: torch.Tensor, angle: torch.Tensor, radius: float) -> torch.Tensor:
    template = scenes.coverage(shape, centre, angle, radius)
    return torch.minimum(cover, template).sum((1, 2)) / torch.maximum(cover, template).sum((1, 2))


def unwrap(angles: torch.Tensor, period: float) -> torch.Tensor:
    """Angles `[T]` known up to a period, as the path that turns least from frame to frame."""
    steps = angles.diff()
    steps = steps - period * (steps / period).round()
    return torch.cat([angles[:1], angles[0] + steps.cumsum(0)])


def motion_of(cover: torch.Tensor, angles: torch.Tensor | None) -> str | None:
    """The motion of an object: where its centre goes from the first three frames to the last, or a turn in place."""
    centre = centres(cover)
    dx, dy = (centre[-3:].mean(0) - centre[:3].mean(0)).tolist()
    if max(abs(dx), abs(dy)) >= LEAST_TRAVEL:
        if abs(dx) > abs(dy):
            return "moves right" if dx > 0 else "moves left"
        return "moves down" if dy > 0 else "moves up"
    if angles is not None and abs(float(angles[-1] - angles[0])) >= LEAST_TURN:
        return "spins"
    return None
