"""From decoded frames to 8-bit RGB as the `ffmpeg` command makes them: turned upright, then converted.

One libavfilter graph, as the command builds it: the container's crop, the display matrix as `transpose`, `hflip`,
`vflip` or `rotate`, then `format=rgb24`, before whichever of them libavfilter finds it best to convert. Matrix, range,
chroma siting and field order are the filters' to read from the frame, so an odd height, ten bits or an interlaced frame
come out as the command's to every digit.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Any, cast

import attrs
import av
import numpy as np
from av.filter import Graph
from av.sidedata.sidedata import SideData, SideDataContainer
from av.sidedata.sidedata import Type as SideDataType
from av.video.frame import VideoFrame

from cachekit_eval.cropping import Crop
from cachekit_eval.metric import Frames

DISPLAY_MATRIX = struct.Struct("=9i")
FIXED_POINT = 1 << 16
NEGOTIATES_COLOUR = av.library_versions["libavfilter"][0] >= 10
"""Whether a graph must be told matrix and range ahead; an older one reads both from each frame."""

Matrix = tuple[int, ...]
Filter = tuple[str, str | None]


@attrs.frozen
class Form:
    """What a graph is made for: a frame of another form needs another graph."""

    width: int
    height: int
    format: str
    matrix: int
    colour_range: int
    display: Matrix | None
    crop: Crop | None


def form_of(frame: VideoFrame, crop: Crop | None = None) -> Form:
    """The frame's form, with what its container asks to be cut."""
    return Form(
        frame.width,
        frame.height,
        frame.format.name,
        int(frame.colorspace),
        int(frame.color_range),
        display_matrix(frame),
        crop,
    )


@attrs.define
class Converter:
    """Turns frames of one form after another upright and into RGB."""

    _form: Form | None = attrs.field(default=None, init=False)
    _graph: Graph | None = attrs.field(default=None, init=False)

    def __call__(self, frame: VideoFrame, form: Form) -> Frames:
        """The frame `[H, W, 3]`; `form` is its own."""
        if self._graph is None or form != self._form:
            self._form, self._graph = form, _graph_for(form)
        self._graph.push(frame)
        return cast(Frames, np.asarray(cast(VideoFrame, self._graph.pull()).to_ndarray()))


def display_matrix(frame: VideoFrame) -> Matrix | None:
    """The frame's display matrix, nine numbers in fixed point; None where it has none."""
    # Not `frame.side_data`, which PyAV keeps on the frame it points back to: frames would wait for Python's collector.
    for side_data in _side_data(frame):
        if side_data.type.name == "DISPLAYMATRIX":
            return DISPLAY_MATRIX.unpack(bytes(side_data)[: DISPLAY_MATRIX.size])
    return None


def _unnamed(kind: type[SideDataType], value: object) -> SideDataType | None:
    """A kind of side data that PyAV has no name for, such as a photograph's EXIF: it raises at any frame with one."""
    if not isinstance(value, int):
        return None
    member: Any = object.__new__(kind)
    member._name_, member._value_ = f"UNNAMED_{value}", value
    return cast(SideDataType, kind._value2member_map_.setdefault(value, member))


SideDataType._missing_ = classmethod(_unnamed)  # type: ignore[assignment]
_side_data = cast(Callable[[VideoFrame], Iterable[SideData]], SideDataContainer)  # its stub names no argument


def upright(matrix: Matrix | None) -> list[Filter]:
    """The filters that the command inserts for a display matrix (`fftools/ffmpeg_filter.c`), mirrors included."""
    if matrix is None:
        return []
    angle = clockwise_degrees(matrix)
    if abs(angle - 90) < 1:
        return [("transpose", "cclock_flip" if matrix[3] > 0 else "clock")]
    if abs(angle - 180) < 1:
        return [(name, None) for name, turned in (("hflip", matrix[0] < 0), ("vflip", matrix[4] < 0)) if turned]
    if abs(angle - 270) < 1:
        return [("transpose", "clock_flip" if matrix[3] < 0 else "cclock")]
    if abs(angle) > 1:
        return [("rotate", f"{angle}*PI/180")]
    return [("vflip", None)] if matrix[4] < 0 else []


def cropped(crop: Crop | None) -> list[Filter]:
    """The filter that the command inserts for a container's crop; it rounds to whole samples of chroma."""
    if crop is None:
        return []
    size = f"w=iw-{crop.left}-{crop.right}:h=ih-{crop.top}-{crop.bottom}"
    return [("crop", f"{size}:x={crop.left}:y={crop.top}")]


def clockwise_degrees(matrix: Matrix) -> float:
    """By how much a frame is to be turned, in [0, 360) as ffmpeg rounds it; 0 where the matrix is no rotation."""
    a, b, c, d = (matrix[i] / FIXED_POINT for i in (0, 1, 3, 4))
    widths = math.hypot(a, c), math.hypot(b, d)
    if not all(widths):
        return 0.0
    angle = round(math.degrees(math.atan2(b / widths[1], a / widths[0])))
    return angle - 360 * math.floor(angle / 360 + 0.9 / 360)


def _graph_for(form: Form) -> Graph:
    graph = Graph()
    source = f"video_size={form.width}x{form.height}:pix_fmt={form.format}:time_base=1/1000:pixel_aspect=1/1"
    if NEGOTIATES_COLOUR:
        source += f":colorspace={form.matrix}:range={form.colour_range}"
    # Bicubic is what ffmpeg itself takes for the chroma planes, and so the papers' evaluator.
    filters: list[Filter] = [
        ("buffer", source),
        *cropped(form.crop),
        *upright(form.display),
        ("format", "rgb24"),
        ("buffersink", None),
    ]
    chain = [graph.add(name, arguments) for name, arguments in filters]
    for one, next_one in pairwise(chain):
        one.link_to(next_one)
    graph.configure()
    return graph
