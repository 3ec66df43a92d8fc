"""Whether a file is as long as its own structure says: many formats end quietly where the file does.

Nothing is decoded. What stands behind a file's end, padding or another tool's notes, is nobody's fault.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

BOXES = frozenset(b"ftyp moov mdat free skip wide moof mfra sidx ssix styp udta uuid meta pnot emsg prft".split())
"""The boxes that stand at the top of an MP4 or MOV file (ISO/IEC 14496-12)."""
SEGMENT, CLUSTER = 0x18538067, 0x1F43B675
"""Matroska's elements whose size may be unknown, when they were written as a stream (RFC 9559)."""
TOP_ELEMENTS = frozenset(
    {0x1A45DFA3, SEGMENT, CLUSTER, 0x114D9B74, 0x1549A966, 0x1654AE6B, 0x1C53BB6B, 0x1941A469, 0x1043A770, 0x1254C367}
    | {0xE7, 0xA3, 0xA0, 0xA7, 0xAB, 0xEC, 0xBF}
)
LONGEST_LINE = 1 << 16
TRANSPORT_PACKETS = (188, 192, 204)
"""Sizes of an MPEG transport stream's packets, in bytes."""


def is_cut_short(path: Path, container: str) -> bool:
    """Whether the file ends before its structure does; False for formats that do not tell.

    `container` is libavformat's name of its format: `matroska,webm`.
    """
    check = next((check for name, check in _CHECKS.items() if name in container.split(",")), None)
    if check is None:
        return False
    with path.open("rb") as file:
        try:
            return check(file, os.fstat(file.fileno()).st_size)
        except (struct.error, IndexError, ValueError):  # the end came in the middle of a header
            return True


def _mov(file: BinaryIO, size: int) -> bool:
    position = 0
    while position + 8 <= size:
        file.seek(position)
        length, kind = struct.unpack(">I4s", file.read(8))
        if kind not in BOXES or length == 0:  # zero: to the end of the file
            return False
        if length == 1:
            (length,) = struct.unpack(">Q", file.read(8))
        position += max(length, 8)
    return position > size


def _riff(file: BinaryIO, size: int) -> bool:
    position = 0
    while position + 12 <= size:
        file.seek(position)
        kind, length = struct.unpack("<4sI", file.read(8))
        if kind != b"RIFF" or length == 0:  # zero: never finished, so it tells nothing
            return False
        end = position + 8 + length
        if end > size:
            return True
        position = end + end % 2
    return False


def _matroska(file: BinaryIO, size: int) -> bool:
    position = 0
    while position < size:
        file.seek(position)
        identity, _ = _ebml_number(file, keep_marker=True)
        if identity not in TOP_ELEMENTS:
            return False
        length, width = _ebml_number(file, keep_marker=False)
        begin = file.tell()
        if length == (1 << (7 * width)) - 1:  # all ones: unknown, so its children tell
            position = begin
            continue
        if identity == SEGMENT:
            return begin + length > size
        position = begin + length
    return position > size


def _ebml_number(file: BinaryIO, *, keep_marker: bool) -> tuple[int, int]:
    """A number of variable length, and its length in bytes."""
    first = file.read(1)[0]
    length = 9 - first.bit_length()
    rest = file.read(length - 1)
    if len(rest) < length - 1:
        raise IndexError
    value = first if keep_marker else first & ((1 << (8 - length)) - 1)
    return int.from_bytes(bytes([value]) + rest, "big"), length


def _gif(file: BinaryIO, size: int) -> bool:
    file.seek(10)
    _skip_colours(file, file.read(1)[0], 2)
    while True:
        block = file.read(1)[0]
        if block == ord(";"):
            return False
        if block == ord("!"):
            file.seek(1, os.SEEK_CUR)
        elif block == ord(","):
            file.seek(8, os.SEEK_CUR)
            _skip_colours(file, file.read(1)[0], 1)
        else:
            continue  # padding between blocks, which decoders pass over
        while length := file.read(1)[0]:
            file.seek(length, os.SEEK_CUR)


def _skip_colours(file: BinaryIO, flags: int, more: int) -> None:
    """Pass over `more` bytes of a GIF's header and the table of colours that its flags announce."""
    file.seek(more + (3 << ((flags & 7) + 1) if flags & 0x80 else 0), os.SEEK_CUR)


def _png(file: BinaryIO, size: int) -> bool:
    position = 8
    while position + 12 <= size:
        file.seek(position)
        length, kind = struct.unpack(">I4s", file.read(8))
        position += 12 + length
        if kind == b"IEND":
            return position > size
    return True


def _jpeg(file: BinaryIO, size: int) -> bool:
    data = file.read()
    position = 2
    while data[position] == 0xFF and data[position + 1] != 0xDA:  # a thumbnail with an end of its own may come before
        position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
    return data.find(b"\xff\xd9", position) < 0


def _y4m(file: BinaryIO, size: int) -> bool:
    frame = _y4m_frame_bytes(file.readline(LONGEST_LINE).split())
    while frame and file.tell() < size:
        line = file.readline(LONGEST_LINE)
        if not line.startswith(b"FRAME"):
            return False
        if file.tell() + frame > size:
            return True
        file.seek(frame, os.SEEK_CUR)
    return False


def _y4m_frame_bytes(header: list[bytes]) -> int:
    """Bytes of one frame, from the fields of the file's first line; 0 for a layout that is not known."""
    fields = {field[:1]: field[1:].decode("ascii", "replace") for field in header[1:]}
    layout = fields.get(b"C", "420")
    deep = re.search(r"(?:p|mono)(9|10|12|14|16)$", layout)
    width, height = int(fields.get(b"W", "0")), int(fields.get(b"H", "0"))
    half_width, half_height = -(-width // 2), -(-height // 2)
    chroma = {
        "420": 2 * half_width * half_height,
        "411": 2 * -(-width // 4) * height,
        "422": 2 * half_width * height,
        "444alpha": 3 * width * height,
        "444": 2 * width * height,
        "mono": 0,
    }
    planes = next((size for name, size in chroma.items() if layout.startswith(name)), None)
    return 0 if planes is None else (width * height + planes) * (2 if deep else 1)


def _transport_stream(file: BinaryIO, size: int) -> bool:
    return all(size % packet for packet in TRANSPORT_PACKETS)


_CHECKS: dict[str, Callable[[BinaryIO, int], bool]] = {
    "mov": _mov,
    "matroska": _matroska,
    "avi": _riff,
    "webp_pipe": _riff,
    "gif": _gif,
    "apng": _png,
    "png_pipe": _png,
    "jpeg_pipe": _jpeg,
    "mpegts": _transport_stream,
    "yuv4mpegpipe": _y4m,
}
