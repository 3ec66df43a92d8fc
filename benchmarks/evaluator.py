"""What `cachekit eval` costs on this machine, against scikit-image's SSIM: speed, agreement and peak memory.

    python benchmarks/evaluator.py

makes pairs of videos, then measures in one run
- scikit-image: `structural_similarity` once a channel and frame, in one thread, on decoded frames (it does no PSNR);
- the evaluator: `evaluate(gt, gen, ["psnr", "ssim"])`, decoding included;
- how far their SSIM is apart, and the peak memory of a process that evaluates one pair, and of one that evaluates all.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import click
import cv2
import numpy as np
from cachekit_eval import evaluate
from cachekit_eval.metric import Frames
from cachekit_eval.metrics.ssim import ssim
from cachekit_eval.reading import Reader
from skimage.metrics import structural_similarity

PEAK_OF_EVALUATION = """
import re, sys
from pathlib import Path
from cachekit_eval import evaluate
evaluate(sys.argv[1], sys.argv[2], ["psnr", "ssim"], threads=int(sys.argv[3]))
print(re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())[1])
"""


@click.command()
@click.option("--pairs", default=16, show_default=True)
@click.option("--frames", default=51, show_default=True)
@click.option("--height", default=480, show_default=True)
@click.option("--width", default=854, show_default=True)
@click.option("--threads", default=2, show_default=True)
@click.option("--baseline-frames", default=48, show_default=True, help="Frames that scikit-image is timed on.")
@click.option("--json", "json_file", type=click.Path(dir_okay=False), help="Write the figures as JSON to FILE.")
def main(
    pairs: int, frames: int, height: int, width: int, threads: int, baseline_frames: int, json_file: str | None
) -> None:
    """Measure the evaluator against scikit-image, and its peak memory."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for index in range(pairs):
            write_pair(root / "all", f"{index:02}", frames, height, width, seed=index)
        for side in ("gt", "gen"):
            (root / "one" / side).mkdir(parents=True)
            os.link(root / "all" / side / "00.mp4", root / "one" / side / "00.mp4")

        # Half of the baseline before and half after, so that a machine whose load drifts favours neither.
        sample = frame_pairs(root / "all", baseline_frames)
        before = time_baseline(sample[::2])
        started = time.perf_counter()
        result = evaluate(root / "all" / "gt", root / "all" / "gen", ["psnr", "ssim"], threads=threads)
        seconds = time.perf_counter() - started
        after = time_baseline(sample[1::2])
        assert result.complete

        baseline_fps = len(sample) / (before + after)
        fps = pairs * frames / seconds
        peaks = [peak_memory(root / name, threads) for name in ("one", "all")]
        figures = {
            "pairs": pairs,
            "frames": frames,
            "size": f"{height}x{width}",
            "threads": threads,
            "scikit_image_fps": baseline_fps,
            "evaluator_fps": fps,
            "times_faster": fps / baseline_fps,
            "largest_ssim_difference": max(abs(ssim(a, b) - baseline(a, b)) for a, b in sample[:8]),
            "peak_mib_of_one_pair": peaks[0],
            "peak_mib_of_all_pairs": peaks[1],
            "peak_ratio": peaks[1] / peaks[0],
        }
    for name, figure in figures.items():
        click.echo(f"{name.replace('_', ' '):26} {figure:.4g}" if isinstance(figure, float) else f"{name:26} {figure}")
    if json_file:
        Path(json_file).write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


def baseline(gt: Frames, gen: Frames) -> float:
    """SSIM of two frames by scikit-image, a channel at a time."""
    channels = [
        structural_similarity(
            gt[..., channel] / 255.0,
            gen[..., channel] / 255.0,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            data_range=1,
        )
        for channel in range(3)
    ]
    return float(np.mean(channels))


def time_baseline(sample: list[tuple[Frames, Frames]]) -> float:
    started = time.perf_counter()
    for gt, gen in sample:
        baseline(gt, gen)
    return time.perf_counter() - started


def frame_pairs(folder: Path, count: int) -> list[tuple[Frames, Frames]]:
    def frames(side: str) -> Iterator[Frames]:
        return itertools.chain.from_iterable(Reader(path).frames() for path in sorted((folder / side).iterdir()))

    return list(itertools.islice(zip(frames("gt"), frames("gen"), strict=True), count))


def peak_memory(folder: Path, threads: int) -> float:
    """Peak resident memory, in MiB, of a process that evaluates the folder's pairs (Linux only).

    From /proc, because a process inherits its parent's peak in `ru_maxrss`.
    """
    command = [sys.executable, "-c", PEAK_OF_EVALUATION, folder / "gt", folder / "gen", str(threads)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout) / 1024


def write_pair(folder: Path, name: str, frames: int, height: int, width: int, seed: int) -> None:
    """A moving texture, and the same with an error that grows over time, as a cache's does; both H.264."""
    rng = np.random.default_rng(seed)
    noise = sum(cv2.GaussianBlur(rng.normal(size=(height, width + 2 * frames, 3)), (0, 0), s) * s for s in (1, 4, 16))
    texture = cv2.normalize(np.asarray(noise), None, 0, 255, cv2.NORM_MINMAX)
    error = cv2.GaussianBlur(rng.normal(size=(height, width, 3)), (0, 0), 2) * 30
    clean = [texture[:, 2 * i : 2 * i + width] for i in range(frames)]
    write_video(folder / "gt" / f"{name}.mp4", clean)
    write_video(folder / "gen" / f"{name}.mp4", [frame + error * i / frames for i, frame in enumerate(clean)])


def write_video(path: Path, frames: list[np.ndarray]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", Fraction(24), options={"crf": "18", "preset": "veryfast"})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for values in frames:
            frame = av.VideoFrame.from_ndarray(values.clip(0, 255).astype(np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


if __name__ == "__main__":
    main()
