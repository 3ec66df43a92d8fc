"""Reading videos through PyAV, frame by frame: files of any common format, and folders of PNG or JPEG frames.

The frames are those of the `ffmpeg` command as rgb24, each coded one once (its `-fps_mode passthrough`): of the stream
that it picks, upright, by its conversion.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import attrs
import av
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from cachekit.errors import CachekitError
from cachekit_eval.conversion import Converter, Form, form_of
from cachekit_eval.cropping import Crop, crop_of
from cachekit_eval.metric import Frames
from cachekit_eval.numbering import frame_files
from cachekit_eval.streams import best_stream
from cachekit_eval.text import quoted
from cachekit_eval.traits import Traits, conversions, traits_of
from cachekit_eval.wholeness import is_cut_short

VIDEO_SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".gif", ".apng", ".webp", ".ts", ".mpg", ".mpeg", ".y4m"}
)
FORMATS = (
    "mov,matroska,avi,gif,apng,webp_pipe,webp_anim,mpegts,mpeg,mpegvideo,m4v,yuv4mpegpipe,png_pipe,jpeg_pipe,mjpeg"
)
"""What libavformat may take a file for, whatever its name says: no playlist, no session, nothing that opens another."""
UNALIGNED = 1
"""The decoder's flag (AV_CODEC_FLAG_UNALIGNED) to crop a frame where its stream says, not at the next 16th column."""
READ_ERRORS = {"invalid argument": "it is cut short, damaged, or of a format that is not read here"}


class UnreadableVideoError(CachekitError):
    """A video can't be read to its end, or not as what it claims to be."""


@attrs.define
class Reader:
    """A video's frames, one at a time, as 8-bit RGB."""

    path: Path
    files: Sequence[Path] | None = None
    """Of a folder: the frames to read, in their order; all where None."""
    notes: list[str] = attrs.field(factory=list, init=False)
    """What was converted or passed over; whole once the reading is."""
    traits: list[Traits] = attrs.field(factory=list, init=False)
    """What the frames say of themselves, each once."""
    fps: float | None = attrs.field(default=None, init=False)
    """Frames a second, once reading began; None for a folder of frames."""
    _size: tuple[int, int] | None = attrs.field(default=None, init=False)
    _converter: Converter = attrs.field(factory=Converter, init=False)
    _form: Form | None = attrs.field(default=None, init=False)
    _crop: Crop | None = attrs.field(default=None, init=False)

    def frames(self) -> Generator[Frames, None, None]:
        """Each frame `[H, W, 3]`; raises UnreadableVideoError for a file that is damaged, cut short or no video."""
        decoded = self._decode_folder() if self.path.is_dir() else self._decode_file(self.path)
        for frame, stream in decoded:
            yield self._to_rgb(frame, stream)
        if self._size is None:
            raise UnreadableVideoError(f"{quoted(self.path)} has no frames; make it again")

    def _decode_folder(self) -> Iterator[tuple[VideoFrame, VideoStream]]:
        files, notes = frame_files(self.path)
        self._note(*notes)
        for path in files if self.files is None else self.files:
            yield from self._decode_file(path)
        self.fps = None

    def _decode_file(self, path: Path) -> Iterator[tuple[VideoFrame, VideoStream]]:
        try:
            if path.stat().st_size == 0:
                raise UnreadableVideoError(f"{quoted(path)} is empty (0 bytes); make it again")
            with path.open("rb") as file, _opened(file) as container:
                yield from self._decode(container, path)
        except av.FFmpegError as error:
            why = READ_ERRORS.get(str(error.strerror).lower(), "it is cut short, damaged or no video")
            if _is_animated_webp(path):
                why = "it is an animated WebP, which libav does not decode; make it a GIF or a video"
            raise UnreadableVideoError(f"{quoted(path)} can't be read as a video ({error.strerror}): {why}") from error
        except OSError as error:
            raise UnreadableVideoError(f"{quoted(path)} can't be opened: {error.strerror}") from error

    def _decode(self, container: InputContainer, path: Path) -> Iterator[tuple[VideoFrame, VideoStream]]:
        stream = best_stream(container)
        if stream is None:
            raise UnreadableVideoError(f"{quoted(path)} has no video in it")
        if len(container.streams.video) > 1:
            self._note(f"has {len(container.streams.video)} video streams; stream {stream.index} was read")
        if stream.codec_context is None:  # so in a header cut short; PyAV before 18 crashes where it's asked to decode
            raise UnreadableVideoError(
                f"{quoted(path)} is cut short or damaged: its header names no codec; make it again"
            )
        if is_cut_short(path, container.format.name):
            raise UnreadableVideoError(f"{quoted(path)} is cut short: {_promised(container, stream)}; make it again")
        self._crop = crop_of(stream)
        if self._crop is not None:
            self._note(f"its container crops it: {self._crop}")
        stream.thread_type = "AUTO"
        stream.codec_context.flags |= UNALIGNED
        self.fps = float(stream.average_rate) if stream.average_rate else None
        packets = 0
        for packet in container.demux(stream):
            if packet.is_corrupt:
                raise UnreadableVideoError(
                    f"{quoted(path)} is cut short or damaged after {packets} frames; make it again"
                )
            if packet.size == 0 and packet.dts is not None:
                continue  # an empty frame of an AVI: the one before is shown again
            packets += packet.size > 0
            for frame in packet.decode():
                if frame.is_corrupt:
                    raise UnreadableVideoError(f"{quoted(path)} is damaged (about frame {packets}); make it again")
                yield frame, stream
        if packets < stream.frames:
            self._check_missing(path, container, stream.frames, packets)

    def _check_missing(self, path: Path, container: InputContainer, promised: int, packets: int) -> None:
        """Raise where frames are missing that the header promised, and note those that were never to be shown."""
        if container.format.name == "avi":
            self._note(f"{promised - packets} empty frames, which repeat the one before, are no frames of their own")
        elif "mov" in container.format.name.split(",") and _packets_without_edits(path) >= promised:
            self._note(f"its edit list leaves out {promised - packets} of its {promised} frames")
        else:
            raise UnreadableVideoError(
                f"{quoted(path)} is cut short: its header says {promised} frames, there are {packets}; make it again"
            )

    def _to_rgb(self, frame: VideoFrame, stream: VideoStream) -> Frames:
        form = form_of(frame, self._crop)
        traits = traits_of(frame, form, stream.codec_context)
        if traits not in self.traits or form != self._form:
            self.traits.extend([traits] if traits not in self.traits else [])
            self._note(*conversions(frame, gif=self.path.suffix.lower() == ".gif"))
            self._form = form
        try:
            rgb = self._converter(frame, form)
        except av.FFmpegError as error:
            raise UnreadableVideoError(
                f"{quoted(self.path)} has frames that can't be made RGB ({error.strerror}): {form.width}x{form.height} "
                f"{form.format}{f', cropped by {self._crop}' if self._crop else ''}; make it again"
            ) from error
        size = rgb.shape[0], rgb.shape[1]
        if self._size is None:
            self._size = size
        elif size != self._size:
            raise UnreadableVideoError(
                f"{quoted(self.path)} changes size on the way, from {self._size[0]}x{self._size[1]} to "
                f"{size[0]}x{size[1]} (height x width); make it again with one size"
            )
        return rgb

    def _note(self, *notes: str) -> None:
        self.notes.extend(note for note in notes if note not in self.notes)


@attrs.frozen
class _Nameless:
    """A file as libav sees it: of a name it would read 'a: b.mp4' as a protocol and 'a%d.png' as a numbered series."""

    read: Callable[[int], bytes]
    seek: Callable[[int, int], int]
    tell: Callable[[], int]


def _opened(file: BinaryIO, **options: str) -> InputContainer:
    bare = _Nameless(file.read, file.seek, file.tell)
    return av.open(bare, "r", metadata_errors="replace", container_options={"format_whitelist": FORMATS, **options})


def _packets_without_edits(path: Path) -> int:
    with path.open("rb") as file, _opened(file, ignore_editlist="1") as container:
        stream = best_stream(container)
        return sum(packet.size > 0 for packet in container.demux(stream)) if stream else 0


def _promised(container: InputContainer, stream: VideoStream) -> str:
    """What a file that is cut short said it would hold, and what it does."""
    packets = 0
    try:
        for packet in container.demux(stream):
            packets += packet.size > 0 and not packet.is_corrupt
    except av.FFmpegError:
        pass  # the cut is in the middle of something; what came before it counts
    said = f"its header says {stream.frames} frames" if stream.frames else "its header says more"
    return f"{said}, there are {packets}"


def _is_animated_webp(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(64)
    return head[:4] == b"RIFF" and head[8:12] == b"WEBP" and b"ANIM" in head
