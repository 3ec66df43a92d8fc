"""Videos that a browser plays, beside the lossless ones that were judged."""

from __future__ import annotations

from pathlib import Path

from cachekit.generation.video import write_video

PREVIEWS = "previews"
PLAYED = ".mp4"


def preview(folder: Path, file: str) -> str:
    """The H.264 copy of a video of the report, made where there is none; both paths are relative to `folder`."""
    if file.endswith(PLAYED):
        return file
    source = folder / file
    target = folder / PREVIEWS / source.parent.name / f"{source.stem}{PLAYED}"
    if not target.exists() or target.stat().st_mtime < source.stat().st_mtime:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_preview(source, target)
    return target.relative_to(folder).as_posix()


def write_preview(source: Path, target: Path) -> None:
    import av
    import numpy as np
    import torch

    with av.open(str(source)) as container:
        rate = container.streams.video[0].average_rate
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    write_video(target, torch.from_numpy(np.stack(frames)), float(rate or 8))
