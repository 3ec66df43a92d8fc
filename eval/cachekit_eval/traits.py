"""What a video's frames say of themselves: how they are to be read, in words, and where two videos differ in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from cachekit_eval.conversion import Form, upright

UNSPECIFIED = "unspecified"
MATRICES = {0: "RGB", 1: "bt709", 4: "fcc", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 8: "ycgco", 9: "bt2020nc"}
MATRICES |= {10: "bt2020c", 14: "ictcp"}
PRIMARIES = {1: "bt709", 4: "bt470m", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 8: "film", 9: "bt2020"}
PRIMARIES |= {11: "smpte431", 12: "smpte432"}
TRANSFERS = {1: "bt709", 4: "gamma22", 5: "gamma28", 6: "smpte170m", 7: "smpte240m", 8: "linear"}
TRANSFERS |= {13: "sRGB", 14: "bt2020-10", 15: "bt2020-12", 16: "smpte2084 (PQ)", 18: "arib-std-b67 (HLG)"}
RANGES = {1: "limited", 2: "full"}
"""The numbers of ITU-T H.273, by ffmpeg's names."""
FIRST_FIELDS = {2: "top", 3: "bottom", 4: "bottom", 5: "top"}
"""Which field is shown first, by libavcodec's `AVFieldOrder`; PyAV knows it from version 15 on."""
FULL_RANGE_FORMATS = "yuvj"
"""A prefix of pixel formats that say the range by themselves."""


@attrs.frozen
class Traits:
    """One frame's; a video has those of all its frames."""

    depth: str
    colour: str
    """YUV or RGB or grey."""
    matrix: str
    range: str
    primaries: str
    transfer: str
    upright: str
    """How the frame is turned upright."""
    scan: str


COMPARED = {
    "matrix": "colour matrix differs",
    "range": "colour range differs",
    "primaries": "colour primaries differ",
    "transfer": "transfer differs",
    "depth": "bit depth differs",
    "upright": "rotation differs",
    "scan": "field order differs",
}
"""What is compared of two videos, and what is said where they aren't alike."""
OF_YUV = ("matrix", "range")
"""What says nothing of RGB."""


def traits_of(frame: VideoFrame, form: Form, context: VideoCodecContext) -> Traits:
    """The frame's traits; what this version of PyAV does not know of the frame is taken from its decoder."""

    def tag(name: str, names: Mapping[int, str]) -> str:
        number = int(getattr(frame, name, getattr(context, name, 2)) or 0)
        return names.get(number, UNSPECIFIED if number in (0, 2) else str(number))

    colours = [component for component in frame.format.components if not component.is_alpha]
    colour = "RGB" if frame.format.is_rgb or frame.format.has_palette else "grey" if len(colours) == 1 else "YUV"
    return Traits(
        depth=f"{max(component.bits for component in colours)}",
        colour=colour,
        matrix=MATRICES.get(form.matrix, UNSPECIFIED if form.matrix == 2 else str(form.matrix)),
        range="full" if form.format.startswith(FULL_RANGE_FORMATS) else RANGES.get(form.colour_range, UNSPECIFIED),
        primaries=tag("color_primaries", PRIMARIES),
        transfer=tag("color_trc", TRANSFERS),
        upright=_turned(form),
        scan=_scan(frame, context),
    )


def differences(gt: Sequence[Traits], gen: Sequence[Traits]) -> list[str]:
    """In words, what should be the same of two videos that are compared, and is not."""
    found = []
    for name, said in COMPARED.items():
        if name in OF_YUV and any(traits.colour == "RGB" for traits in (*gt, *gen)):
            continue
        theirs, ours = (list(dict.fromkeys(getattr(traits, name) for traits in video)) for video in (gt, gen))
        if set(theirs) != set(ours):
            found.append(f"{said}: {' and '.join(theirs)} in gt, {' and '.join(ours)} in gen")
    return found


def conversions(frame: VideoFrame, *, gif: bool = False) -> list[str]:
    """What 8-bit RGB loses or adds of this frame, in words; nothing for the usual 8-bit YUV or RGB."""
    form = frame.format
    colours = [component for component in form.components if not component.is_alpha]
    notes = []
    bits = max(component.bits for component in colours)
    if bits > 8:
        notes.append(f"{bits}-bit colour ({form.name}) converted to 8 bits")
    if len(colours) == 1 and not form.has_palette:
        notes.append("grey frames repeated over three channels")
    # A GIF is always decoded with an alpha channel, whether it has transparency or not.
    if len(colours) < len(form.components) and not gif:
        notes.append(f"alpha channel ({form.name}) left out")
    return notes


def _turned(form: Form) -> str:
    filters = [name if arguments is None else f"{name}={arguments}" for name, arguments in upright(form.display)]
    return ", ".join(filters) or "none"


def _scan(frame: VideoFrame, context: VideoCodecContext) -> str:
    if not frame.interlaced_frame:
        return "progressive"
    first = FIRST_FIELDS.get(int(getattr(context, "field_order", 0)))
    return f"interlaced, {first} field first" if first else "interlaced"
