"""Which of a file's video streams is the video: the one that the `ffmpeg` command picks where none is named."""

from __future__ import annotations

from av.container import InputContainer
from av.video.stream import VideoStream

DEFAULT, ATTACHED_PICTURE = 0x1, 0x400
"""libavformat's `AV_DISPOSITION_DEFAULT` and `AV_DISPOSITION_ATTACHED_PIC`."""
FAVOUR = 5_000_000
"""What being the default counts for, in pixels, in `map_auto_video` of fftools."""


def best_stream(container: InputContainer) -> VideoStream | None:
    """The largest, with a favour for one marked as the default, a cover picture last; None without video."""
    streams = container.streams.video
    return max(streams, key=_score, default=None)


def _score(stream: VideoStream) -> int:
    # PyAV knows the disposition from version 13 on; before, the largest is taken.
    disposition = int(getattr(stream, "disposition", 0))
    if disposition & ATTACHED_PICTURE:
        return 1
    context = stream.codec_context
    return (context.width * context.height if context is not None else 0) + FAVOUR * bool(disposition & DEFAULT)
