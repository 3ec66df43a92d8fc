"""Videos that a browser plays, beside the lossless ones that were judged."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import attrs

from cachekit.files.reading import is_regular, parse_json, read_bytes
from cachekit.files.structuring import structure
from cachekit.files.writing import append_whole, clean_leftovers, make_folder
from cachekit.generation.manifest import sha256
from cachekit.generation.video import write_video

PREVIEWS = "previews"
PLAYED = ".mp4"
MADE = "made.jsonl"
"""The checksum of each preview, so that one that was damaged is made anew."""


@attrs.frozen
class Made:
    """A line of that file."""

    file: str
    """Relative to the folder of previews."""
    sha256: str


@attrs.define
class Previews:
    """The H.264 copies of a report's videos, made where there is none."""

    folder: Path
    """The report's."""
    _made: dict[str, str] = attrs.field(init=False)

    @_made.default
    def _read(self) -> dict[str, str]:
        path = self.folder / PREVIEWS / MADE
        made = {}
        for line in read_bytes(path).split(b"\n") if is_regular(path) else []:
            with suppress(ValueError):  # a line cut off by a kill: its preview is made anew
                record = structure(parse_json(line.decode()), Made)
                made[record.file] = record.sha256
        return made

    def of(self, file: str) -> str:
        """What a browser plays of a video of the report; both paths are relative to its folder."""
        if file.endswith(PLAYED):
            return file
        source = self.folder / file
        name = f"{source.parent.name}/{source.stem}{PLAYED}"
        target = self.folder / PREVIEWS / name
        if not self._whole(name, source, target):
            make_folder(target.parent)
            clean_leftovers(target.parent)
            self._made[name] = write_preview(source, target)
            line = json.dumps(attrs.asdict(Made(name, self._made[name]))) + "\n"
            append_whole(self.folder / PREVIEWS / MADE, line, "the file of previews")
        return f"{PREVIEWS}/{name}"

    def _whole(self, name: str, source: Path, target: Path) -> bool:
        """Whether the preview is the one that was made, and no older than its video."""
        if not is_regular(target) or target.stat().st_mtime < source.stat().st_mtime:
            return False
        return name in self._made and sha256(target) == self._made[name]


def write_preview(source: Path, target: Path) -> str:
    """Copy a lossless video as one that a browser plays; returns the copy's SHA-256."""
    import av
    import numpy as np
    import torch

    with av.open(str(source)) as container:
        rate = container.streams.video[0].average_rate
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    return write_video(target, torch.from_numpy(np.stack(frames)), float(rate or 8))
