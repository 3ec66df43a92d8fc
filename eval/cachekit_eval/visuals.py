"""Two videos and their difference, to look at: single frames for a plot, whole videos side by side."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from fractions import Fraction
from itertools import islice
from pathlib import Path

import attrs
import av
import numpy as np

from cachekit.errors import StoppedError
from cachekit_eval.comparing import frame_pairs
from cachekit_eval.files import written_aside
from cachekit_eval.metric import Frames
from cachekit_eval.pairs import Pair
from cachekit_eval.reading import Reader
from cachekit_eval.results import Evaluation, MetricInfo, Video
from cachekit_eval.text import printable, quoted

AMPLIFIED = 4
"""How much brighter than it is the difference is shown in a video: errors of a cache are a few levels of 255."""
DEFAULT_FPS = Fraction(8)
LONGEST_STEM = 120
"""Characters of a video's name kept, so that any of them and its suffix is a file name."""


@attrs.frozen(eq=False)
class Triptych:
    """The worst frame of a metric, of both videos, `[H, W, 3]` each."""

    title: str
    gt: Frames
    gen: Frames
    difference: Frames
    factor: int
    """How much brighter than it is the difference is shown."""


def worst_frames(
    evaluations: Sequence[Evaluation], infos: Sequence[MetricInfo], *, common_frames: bool
) -> list[Triptych]:
    """Of each metric with a figure for each frame, the worst frame of all videos."""
    found = []
    for info in infos:
        sign = 1 if info.higher_is_better else -1
        figures = [
            (sign * figure, place, video)
            for evaluation in evaluations
            for video in evaluation.videos
            for place, figure in enumerate((video.per_frame or {}).get(info.name, ()))
        ]
        if figures:
            value, place, video = min(figures, key=lambda found: found[0])
            title = f"{info.label} {sign * value:.4f}: {shown_name(video)}, frame {place}"
            found.append(_triptych(title, video, place, common_frames=common_frames))
    return found


def shown_name(video: Video) -> str:
    """Where a video is, in a few words."""
    return printable(f"{video.gen.parent.name}/{video.name}")[-80:]


def _triptych(title: str, video: Video, place: int, *, common_frames: bool) -> Triptych:
    pairs = frame_pairs(Pair(video.name, video.gt, video.gen), common_frames=common_frames)
    with closing(pairs):
        gt, gen = next(islice(pairs, place, None))
    difference = np.abs(gt.astype(np.int16) - gen).astype(np.uint8)
    factor = max(1, 255 // max(1, int(difference.max())))
    return Triptych(title, gt, gen, difference * np.uint8(factor), factor)


def write_side_by_side(evaluations: Sequence[Evaluation], folder: Path, *, common_frames: bool) -> list[Path]:
    """A video for each pair that was compared: gt, gen and their difference, from left to right.

    With several evaluations, a folder each. Raises CachekitError where one can't be written.
    """
    written: list[Path] = []
    for number, evaluation in enumerate(evaluations):
        home = folder / f"{number:02}-{evaluation.gen.name}" if len(evaluations) > 1 else folder
        try:
            home.mkdir(parents=True, exist_ok=True)
            for video in evaluation.videos:
                path = home / f"{video.name[:LONGEST_STEM]}.mp4"
                if path in written:
                    path = home / f"{video.name[:LONGEST_STEM]}-{len(written)}.mp4"
                with written_aside(path) as aside:
                    _write(aside, Pair(video.name, video.gt, video.gen), common_frames=common_frames)
                written.append(path)
        except OSError as error:
            raise StoppedError(f"the videos in {quoted(home)} can't be written: {error.strerror}") from error
    return written


def _write(path: Path, pair: Pair, *, common_frames: bool) -> None:
    with path.open("wb") as file, av.open(file, "w", format="mp4") as container:
        stream: av.VideoStream | None = None
        for gt, gen in frame_pairs(pair, common_frames=common_frames):
            difference = np.abs(gt.astype(np.int16) - gen) * AMPLIFIED
            picture = np.concatenate([gt, gen, difference.clip(0, 255).astype(np.uint8)], axis=1)
            height, width = picture.shape[:2]
            if height % 2 or width % 2:  # what players expect of H.264
                picture = np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
            if stream is None:
                stream = container.add_stream("libx264", rate=_rate(pair), options={"crf": "12"})
                assert stream is not None
                stream.height, stream.width = picture.shape[:2]
                stream.pix_fmt = "yuv420p"
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            container.mux(stream.encode(frame))
        if stream is not None:
            container.mux(stream.encode())


def _rate(pair: Pair) -> Fraction:
    """Frames a second, gen's where it has any."""
    for path in (pair.gen, pair.gt):
        reader = Reader(path)
        with closing(reader.frames()) as frames:
            next(frames)
        if reader.fps and not path.is_dir():
            return Fraction(reader.fps).limit_denominator(1001)
    return DEFAULT_FPS
