"""The README animation: folders of videos one below the other, a column a prompt.

`python docs/animation.py gt out docs/demo.gif`.
"""

import sys
from pathlib import Path

import av
import numpy as np
from PIL import Image

SCALE = 3
GAP = 6
MILLISECONDS = 125


def read(path: Path) -> np.ndarray:
    """Frames `[T, H, W, 3]`, each pixel enlarged."""
    with av.open(str(path)) as container:
        frames = np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])
    return frames.repeat(SCALE, axis=1).repeat(SCALE, axis=2)


def joined(films: list[np.ndarray], axis: int) -> np.ndarray:
    """Films beside (axis 2) or below (axis 1) each other, with a white gap between."""
    shape = list(films[0].shape)
    shape[axis] = GAP
    gap = np.full(shape, 255, np.uint8)
    return np.concatenate([piece for film in films for piece in (film, gap)][:-1], axis=axis)


def main(*arguments: str) -> None:
    *folders, out = map(Path, arguments)
    names = sorted(path.name for path in folders[0].glob("*.mp4"))
    columns = []
    for name in names:
        videos = [read(folder / name) for folder in folders]
        columns.append(joined(videos, axis=1))
    film = joined(columns, axis=2)
    images = [Image.fromarray(frame).quantize(128) for frame in film]
    images[0].save(out, save_all=True, append_images=images[1:], duration=MILLISECONDS, loop=0, optimize=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
