"""Reading videos through PyAV, frame by frame: files of any common format, and folders of PNG frames."""

from __future__ import annotations

import os
import re
from collections.abc import Generator, Iterator
from pathlib import Path

import attrs
import av
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from cachekit.errors import CachekitError
from cachekit_eval.metric import Frames
from cachekit_eval.text import quoted

VIDEO_SUFFIXES = frozenset({".mp4", ".mkv", ".webm", ".avi", ".mov", ".gif"})
FRAME_SUFFIX = ".png"
GIF_TRAILER = b";"


class UnreadableVideoError(CachekitError):
    """A video can't be read to its end, or not as what it claims to be."""


@attrs.define
class Reader:
    """A video's frames, one at a time, as 8-bit RGB; `notes` says what was converted, once reading began."""

    path: Path
    notes: list[str] = attrs.field(factory=list, init=False)
    _size: tuple[int, int] | None = attrs.field(default=None, init=False)

    def frames(self) -> Generator[Frames, None, None]:
        """Each frame `[H, W, 3]`; raises UnreadableVideoError for a file that is damaged, cut short or no video."""
        decoded = self._decode_folder() if self.path.is_dir() else self._decode_file(self.path)
        for frame in decoded:
            yield self._to_rgb(frame)
        if self._size is None:
            raise UnreadableVideoError(f"{quoted(self.path)} has no frames; make it again")

    def _decode_folder(self) -> Iterator[VideoFrame]:
        for path in frame_files(self.path):
            yield from self._decode_file(path)

    def _decode_file(self, path: Path) -> Iterator[VideoFrame]:
        try:
            if path.stat().st_size == 0:
                raise UnreadableVideoError(f"{quoted(path)} is empty (0 bytes); make it again")
            # Through a file object: libav would read 'a: b.mp4' as a protocol and 'a%d.png' as a numbered series.
            with path.open("rb") as file, av.open(file, "r", metadata_errors="replace") as container:
                yield from _decode(container, path)
        except av.FFmpegError as error:
            raise UnreadableVideoError(
                f"{quoted(path)} can't be read as a video ({error.strerror}): it is cut short, damaged or no video"
            ) from error
        except OSError as error:
            raise UnreadableVideoError(f"{quoted(path)} can't be opened: {error.strerror}") from error

    def _to_rgb(self, frame: VideoFrame) -> Frames:
        size = (frame.height, frame.width)
        if self._size is None:
            self._size = size
            self.notes.extend(conversions(frame, gif=self.path.suffix.lower() == ".gif"))
        elif size != self._size:
            raise UnreadableVideoError(
                f"{quoted(self.path)} changes size on the way, from {self._size[0]}x{self._size[1]} to "
                f"{size[0]}x{size[1]} (height x width); make it again with one size"
            )
        # Bicubic is what ffmpeg itself takes for the chroma planes, and so the papers' evaluator.
        return np.asarray(frame.reformat(format="rgb24", interpolation="BICUBIC").to_ndarray())


def frame_files(folder: Path) -> list[Path]:
    """A folder's PNG frames in the order of their numbers: `frame2.png` before `frame10.png`."""
    found = (path for path in folder.iterdir() if is_visible(path) and path.suffix.lower() == FRAME_SUFFIX)
    return sorted(found, key=lambda path: [(int(digits or -1), text) for digits, text in _PARTS.findall(path.name)])


_PARTS = re.compile(r"(\d+)|(\D+)")


def is_visible(path: Path) -> bool:
    """Whether a file is meant to be seen: editors, systems and half-finished runs leave hidden ones."""
    return not path.name.startswith(".")


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


def _decode(container: InputContainer, path: Path) -> Iterator[VideoFrame]:
    if not container.streams.video:
        raise UnreadableVideoError(f"{quoted(path)} has no video in it")
    stream = container.streams.video[0]
    if stream.codec_context is None:  # so in a header cut short; PyAV before 18 crashes where it is asked to decode
        raise UnreadableVideoError(f"{quoted(path)} is cut short or damaged: its header names no codec; make it again")
    stream.thread_type = "AUTO"
    packets, end = 0, 0.0
    usual_duration = 1 / float(stream.average_rate) if stream.average_rate else 0.0
    for packet in container.demux(stream):
        if packet.is_corrupt:
            raise UnreadableVideoError(f"{quoted(path)} is cut short or damaged after {packets} frames; make it again")
        packets += packet.size > 0
        if packet.pts is not None and packet.time_base is not None:
            duration = float(packet.duration * packet.time_base) if packet.duration else usual_duration
            end = max(end, float(packet.pts * packet.time_base) + duration)
        for frame in packet.decode():
            if frame.is_corrupt:
                raise UnreadableVideoError(f"{quoted(path)} is damaged (about frame {packets}); make it again")
            yield frame
    _check_complete(container, stream, path, packets, end)
    if container.format.name == "gif":
        _check_gif_trailer(path)


def _check_complete(container: InputContainer, stream: VideoStream, path: Path, packets: int, end: float) -> None:
    """Raise where the header promises more than there was: many formats end quietly where the file does."""
    if packets < stream.frames:
        raise UnreadableVideoError(
            f"{quoted(path)} is cut short: its header says {stream.frames} frames, there are {packets}; make it again"
        )
    declared = _declared_end(container, stream)
    if declared is not None and stream.average_rate and end + 0.75 / float(stream.average_rate) < declared:
        raise UnreadableVideoError(
            f"{quoted(path)} is cut short: its header says {declared:.2f} s, there are {end:.2f} s; make it again"
        )


def _declared_end(container: InputContainer, stream: VideoStream) -> float | None:
    """When a Matroska or WebM file says its video ends, in seconds; None where it doesn't, and for other formats."""
    if "matroska" not in container.format.name:
        return None
    tag = _CLOCK.fullmatch(stream.metadata.get("DURATION", ""))
    if tag:
        hours, minutes, seconds = tag.groups()
        return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    if container.duration and len(container.streams) == 1:
        return container.duration / av.time_base
    return None


_CLOCK = re.compile(r"(\d+):(\d+):(\d+(?:\.\d+)?)")


def _check_gif_trailer(path: Path) -> None:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        if file.read() != GIF_TRAILER:
            raise UnreadableVideoError(f"{quoted(path)} is cut short: a GIF's end mark is missing; make it again")
