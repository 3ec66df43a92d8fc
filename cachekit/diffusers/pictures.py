"""Pictures and videos that a pipeline's call is given, by their files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cachekit.errors import CachekitError
from cachekit.files.reading import shortened
from cachekit.generation.bounds import LARGEST_SIDE, MOST_FRAMES

VIDEO_FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,gif,mpegts,mpeg"
"""No playlist among them, which would open what it names."""


def picture(name: str, file: str) -> Any:
    """The picture in a file."""
    from PIL import Image

    check_file(name, file, "a picture's file")
    try:
        with Image.open(file) as opened:
            check_size(name, file, *opened.size)
            return opened.convert("RGB")
    except CachekitError:
        raise
    except Exception as error:  # what Pillow's readers of damaged files raise is of a dozen kinds
        raise unread(name, file, "a picture's file", error) from error


def frames_of(name: str, file: str) -> list[Any]:
    """The frames of a video's file, as pictures."""
    import av

    check_file(name, file, "a video's file")
    frames: list[Any] = []
    try:
        with av.open(file, options={"protocol_whitelist": "file", "format_whitelist": VIDEO_FORMATS}) as container:
            for frame in container.decode(video=0):
                check_size(name, file, frame.width, frame.height)
                if len(frames) == MOST_FRAMES:
                    raise CachekitError(f"--pipeline-arg {name}: {said(file)} has over {MOST_FRAMES} frames; cut it")
                frames.append(frame.to_image())
    except CachekitError:
        raise
    except (OSError, ValueError, IndexError) as error:  # av's own errors are OSErrors or ValueErrors
        raise unread(name, file, "a video's file", error) from error
    if not frames:
        raise CachekitError(f"--pipeline-arg {name}: {said(file)} has no frames; give another video")
    return frames


def check_file(name: str, file: str, wanted: str) -> None:
    """Refuse what is no regular file: a pipe would be waited for."""
    try:
        there = Path(file).is_file()
    except (OSError, ValueError) as error:
        raise unread(name, file, wanted, error) from error
    if not there:
        raise unread(name, file, wanted, FileNotFoundError())


def check_size(name: str, file: str, width: int, height: int) -> None:
    """Refuse sizes that would take the machine's memory."""
    if max(width, height) > LARGEST_SIDE:
        raise CachekitError(
            f"--pipeline-arg {name}: {said(file)} is {width} x {height} pixels; sides go up to {LARGEST_SIDE}"
        )


def unread(name: str, file: str, wanted: str, error: Exception) -> CachekitError:
    return CachekitError(
        f"--pipeline-arg {name} takes {wanted}, and {said(file)} can't be read as one ({type(error).__name__})"
    )


def said(file: str) -> str:
    """A file's name for a sentence."""
    return shortened(repr(file), 200)
