"""What a container asks to be cut from each frame: MP4's `clap`, Matroska's `PixelCrop*`, as libavformat reads them.

PyAV hands neither over. Its muxer writes both as Matroska's four numbers, so a header of one stream, made in memory,
says what the stream's own container did, by libavformat's own arithmetic.
"""

from __future__ import annotations

import io
from collections.abc import Iterator

import attrs
import av
from av.video.stream import VideoStream

CROPPING = ("mov", "matroska")
"""Formats that can say a crop."""
VIDEO = (0x18538067, 0x1654AE6B, 0xAE, 0xE0)
"""Matroska's Segment, Tracks, TrackEntry and Video, one in another."""
FROM_TEMPLATE = "add_stream_from_template"
"""PyAV's from version 14 on; those before bring a libavformat that reads no crop."""
BOTTOM, TOP, LEFT, RIGHT = 0x54AA, 0x54BB, 0x54CC, 0x54DD


@attrs.frozen
class Crop:
    """Rows and columns to be cut."""

    top: int = 0
    bottom: int = 0
    left: int = 0
    right: int = 0

    def __str__(self) -> str:
        sides = attrs.asdict(self).items()
        return ", ".join(f"{count} {side}" for side, count in sides if count)


def crop_of(stream: VideoStream) -> Crop | None:
    """What the stream's container asks for; None where that is nothing, or this libavformat (before 7.1) reads none."""
    names = stream.container.format.name.split(",")
    if not any(name in names for name in CROPPING) or not hasattr(av.container.OutputContainer, FROM_TEMPLATE):
        return None
    header = io.BytesIO()
    try:
        with av.open(header, "w", format="matroska") as container:
            container.add_stream_from_template(stream)
            container.start_encoding()
    except (av.FFmpegError, ValueError):  # a codec that Matroska has no name for
        return None
    sides = dict(elements(header.getvalue(), VIDEO))
    crop = Crop(*(int.from_bytes(sides.get(side, b""), "big") for side in (TOP, BOTTOM, LEFT, RIGHT)))
    return crop if crop != Crop() else None


def elements(content: bytes, path: tuple[int, ...]) -> Iterator[tuple[int, bytes]]:
    """The elements in the first one at `path`, by their ids (EBML, RFC 8794)."""
    for number, value in children(content):
        if not path:
            yield number, value
        elif number == path[0]:
            yield from elements(value, path[1:])
            return


def children(content: bytes) -> Iterator[tuple[int, bytes]]:
    """The elements that follow each other: id and content of each."""
    at = 0
    while at < len(content):
        width = 9 - content[at].bit_length()
        number = int.from_bytes(content[at : at + width], "big")
        at += width
        width = 9 - content[at].bit_length()
        size = int.from_bytes(content[at : at + width], "big") - (1 << 7 * width)
        at += width
        size = min(size, len(content) - at)  # all bits set where the size is not known
        yield number, content[at : at + size]
        at += size
