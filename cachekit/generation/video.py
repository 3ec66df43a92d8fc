"""Writing videos: named by prompt and seed, and on disk whole or not at all."""

from __future__ import annotations

import hashlib
import io
import re
import unicodedata
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from cachekit.files.writing import make_folder, write_whole

if TYPE_CHECKING:
    import torch


@attrs.frozen
class Format:
    """A container with its codec and that codec's settings."""

    codec: str
    pixel_format: str
    options: dict[str, str]


FORMATS = {
    # With its macroblock tree x264 made different files of the same frames, in one process and from one to the next.
    "mp4": Format("libx264", "yuv420p", {"crf": "8", "preset": "slow", "x264-params": "mbtree=0"}),
    "mkv": Format("ffv1", "bgr0", {"level": "3"}),
}
"""`mp4`: H.264 at high quality; `mkv`: FFV1, lossless."""
PICTURE = "png"
"""The format of pictures: each is a folder of one frame."""
PICTURE_FILE = "/0.png"
"""What follows a picture's stem."""
CONTAINERS = {"mp4": "mp4", "mkv": "matroska"}
"""What libavformat calls them."""


def video_name(prompt: str, seed: int, occurrence: int = 0) -> str:
    """A file name's stem, safe on every file system, the same for the same prompt and seed.

    Readable words of the prompt, ten hexadecimal digits of its SHA-256 (so that no two prompts share a name), the
    seed, and for a prompt that stands again in the list, which time it is.
    """
    ascii_text = unicodedata.normalize("NFKD", prompt).encode("ascii", "ignore").decode().lower()
    words = re.sub(r"[^a-z0-9]+", "-", ascii_text).strip("-")[:80].rstrip("-") or "prompt"
    again = f"-again{occurrence}" if occurrence else ""
    return f"{words}-{hashlib.sha256(prompt.encode()).hexdigest()[:10]}-{seed}{again}"


def file_name(stem: str, form: str) -> str:
    """The file of a video in its folder: `stem.mp4`, and of a picture `stem/0.png`, as a video of one frame."""
    return f"{stem}{PICTURE_FILE}" if form == PICTURE else f"{stem}.{form}"


def write_video(path: Path, frames: torch.Tensor, fps: float) -> str:
    """Write frames `[T, H, W, 3]` (uint8) in the format of the suffix; returns the file's SHA-256.

    The file appears under its name only when it is complete; CachekitError where it can't be written.
    """
    if path.suffix == f".{PICTURE}":
        make_folder(path.parent)
        content = encode_picture(frames[0])
    else:
        content = encode_video(frames, fps, path.suffix[1:])
    write_whole(path, content, "the video")
    return hashlib.sha256(content).hexdigest()


def encode_picture(frame: torch.Tensor) -> bytes:
    """The PNG file of a frame `[H, W, 3]` (uint8)."""
    import cv2

    return cv2.imencode(".png", cv2.cvtColor(frame.numpy(), cv2.COLOR_RGB2BGR))[1].tobytes()


def encode_video(frames: torch.Tensor, fps: float, name: str) -> bytes:
    """The video file of frames `[T, H, W, 3]` (uint8) in a format of `FORMATS`, the same for the same frames."""
    import av

    style = FORMATS[name]
    height, width = frames.shape[1:3]
    odd = height % 2 or width % 2
    file = io.BytesIO()
    with av.open(file, "w", format=CONTAINERS[name], options={"fflags": "+bitexact"}) as container:
        stream: av.VideoStream = container.add_stream(  # type: ignore[assignment]
            style.codec, rate=Fraction(fps).limit_denominator(1001)
        )
        stream.width, stream.height = width, height
        stream.pix_fmt = "yuv444p" if odd and style.pixel_format == "yuv420p" else style.pixel_format
        stream.options = dict(style.options)
        stream.codec_context.thread_count = 1  # x264's output depends on their number
        stream.codec_context.flags |= 1 << 23  # AV_CODEC_FLAG_BITEXACT: the same frames give the same file
        for frame in frames.numpy():
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return file.getvalue()
