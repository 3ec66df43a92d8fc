"""VMAF (Netflix), by an `ffmpeg` that has libvmaf: the command on the path, or the one that imageio-ffmpeg ships.

The frames that all metrics see, turned and fitted as they are, go to it as they are decoded, gt's above gen's in one
picture; it takes them apart, and to 4:2:0 as VMAF was trained on.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import attrs
import numpy as np

from cachekit_eval.metric import Frames, MetricUnavailableError, VideoMetric

HOW_TO_GET_IT = "install one, `pip install imageio-ffmpeg` brings one, or name one with --metrics vmaf:ffmpeg=FILE"
LOG = "vmaf.json"
DEFAULT_FPS = 25.0


@attrs.define
class Vmaf(VideoMetric):
    """VMAF of each frame, 0 to 100."""

    label: ClassVar[str] = "VMAF"
    protocol: ClassVar[str] = "libvmaf by ffmpeg on the frames in YUV 4:2:0; per frame"
    by_default: ClassVar[bool] = False
    minimum_size: ClassVar[int] = 16

    model: str = attrs.field(default="vmaf_v0.6.1", metadata={"help": "a model that libvmaf has built in"})
    ffmpeg: str | None = attrs.field(default=None, metadata={"help": "the command; one that is found where none is"})
    _command: str | None = attrs.field(default=None, init=False, repr=False, eq=False)

    def prepare(self) -> None:
        if self._command is None:
            self._command = _command_with_vmaf(self.ffmpeg)

    def conditions(self) -> dict[str, Any]:
        self.prepare()
        assert self._command is not None
        said = subprocess.run([self._command, "-version"], capture_output=True, text=True, check=False).stdout
        return {"model": self.model, "ffmpeg": said.partition("\n")[0]}

    def compare(self, pairs: Iterator[tuple[Frames, Frames]], fps: float | None) -> list[float]:
        self.prepare()
        first = next(pairs)
        height, width = first[0].shape[:2]
        with (
            tempfile.TemporaryDirectory(prefix="cachekit-vmaf-") as folder,
            subprocess.Popen(
                [str(self._command), *self._arguments(height, width, fps or DEFAULT_FPS)],
                cwd=folder,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
            ) as process,
        ):
            try:
                _feed(process, first, pairs)
                said = process.communicate()[1]
            except BaseException:
                process.kill()
                raise
            if process.returncode:
                lines = said.decode(errors="replace").strip().splitlines() or [f"exit status {process.returncode}"]
                raise RuntimeError(f"ffmpeg failed: {lines[-1]}")
            log = json.loads((Path(folder) / LOG).read_text(encoding="utf-8"))
        return [float(frame["metrics"]["vmaf"]) for frame in log["frames"]]

    def _arguments(self, height: int, width: int, fps: float) -> list[str]:
        half = f"crop={width}:{height}:0"
        graph = (
            f"[0:v]split[a][b];[a]{half}:0,format=yuv420p[gt];[b]{half}:{height},format=yuv420p[gen];"
            f"[gen][gt]libvmaf=model=version={self.model}:log_fmt=json:log_path={LOG}"
        )
        source = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-video_size", f"{width}x{2 * height}", "-r", f"{fps:.6g}"]
        return ["-v", "error", "-nostdin", *source, "-i", "pipe:0", "-lavfi", graph, "-f", "null", "-"]


def _feed(
    process: subprocess.Popen[bytes], first: tuple[Frames, Frames], others: Iterator[tuple[Frames, Frames]]
) -> None:
    assert process.stdin is not None
    pair: tuple[Frames, Frames] | None = first
    try:
        while pair is not None:
            process.stdin.write(np.concatenate(pair).tobytes())
            pair = next(others, None)
    except BrokenPipeError:
        return  # it failed, and says why


def _command_with_vmaf(named: str | None) -> str:
    """An ffmpeg that has libvmaf; MetricUnavailableError where there is none."""
    tried = [named] if named is not None else [shutil.which("ffmpeg"), _packaged_command()]
    for command in filter(None, tried):
        try:
            listed = subprocess.run(
                [command, "-hide_banner", "-filters"], capture_output=True, text=True, check=False, errors="replace"
            )
        except OSError:
            continue
        if " libvmaf " in listed.stdout:
            return str(command)
    what = f"{named!r} is no ffmpeg with libvmaf" if named is not None else "there is no ffmpeg with libvmaf here"
    raise MetricUnavailableError(f"{what}; {HOW_TO_GET_IT}")


def _packaged_command() -> str | None:
    if importlib.util.find_spec("imageio_ffmpeg") is None:
        return None
    import imageio_ffmpeg  # type: ignore[import-untyped]

    try:
        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except RuntimeError:  # the package is there without its command
        return None
