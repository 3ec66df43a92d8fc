"""The evaluation of folders: pair everything first, then compare pair after pair."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

import av
import cv2

from cachekit import Progress
from cachekit.errors import CachekitError
from cachekit_eval.comparing import Comparer, PairError
from cachekit_eval.manifests import Manifest, differences, read_manifest
from cachekit_eval.metric import Metric
from cachekit_eval.pairs import Folder, Pair, pair_folders, read_folder
from cachekit_eval.reading import UnreadableVideoError
from cachekit_eval.results import Evaluation, Failure, Video, average
from cachekit_eval.selection import NamedMetric, select_metrics
from cachekit_eval.text import printable, quoted

PathLike = str | os.PathLike[str]


def evaluate(
    gt: PathLike,
    gen: PathLike,
    metrics: Sequence[str | Metric | NamedMetric] | None = None,
    *,
    lpips_weights: PathLike | None = None,
    resize: bool = False,
    common_frames: bool = False,
    per_frame: bool = False,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Compare the videos in the folder `gen` with the uncached model's of the same names in `gt`.

    `metrics` are names of those that ship, or objects, which may be named; None computes every shipped one that can be
    had and reports the others as unavailable. `resize` fits gt's frames to gen's size, `common_frames` compares the
    first frames that both videos have; without them, videos of different shapes are failures of the result.
    `per_frame` keeps each frame's figures. `threads` (all processors where None) changes no digit.

    Raises CachekitError before any video is decoded where the request can't be met: no folder, no videos, a video
    without its counterpart, two of one stem, an unknown or unavailable metric.
    """
    return evaluate_folders(
        gt,
        [gen],
        metrics,
        lpips_weights=lpips_weights,
        resize=resize,
        common_frames=common_frames,
        per_frame=per_frame,
        threads=threads,
        progress=progress,
    )[0]


def evaluate_folders(
    gt: PathLike,
    gens: Sequence[PathLike],
    metrics: Sequence[str | Metric | NamedMetric] | None = None,
    *,
    lpips_weights: PathLike | None = None,
    resize: bool = False,
    common_frames: bool = False,
    per_frame: bool = False,
    threads: int | None = None,
    progress: Progress | None = None,
) -> list[Evaluation]:
    """`evaluate` for several folders against one `gt`, each of them checked before the first is decoded."""
    if threads is not None and threads < 1:
        raise CachekitError(f"threads must be at least 1, not {threads}")
    gt_folder = read_folder(Path(gt))
    gen_folders = [read_folder(Path(gen)) for gen in gens]
    pairs = [pair_folders(gt_folder, folder) for folder in gen_folders]
    selection = select_metrics(metrics, os.fspath(lpips_weights) if lpips_weights is not None else None)
    names = [info.name for info in selection.infos]
    versions = _versions(with_lpips="lpips" in selection.metrics)
    gt_manifest = read_manifest(gt_folder.path)
    if progress:
        progress.expect(sum(map(len, pairs)))
    evaluations = []
    with Comparer(selection.metrics, threads or _processors(), resize, common_frames) as comparer:
        for folder, folder_pairs in zip(gen_folders, pairs, strict=True):
            manifest = read_manifest(folder.path)
            outcomes = []
            for pair in folder_pairs:
                if progress:
                    progress.start(printable(pair.name))
                outcomes.append(_outcome(comparer, pair, gt_manifest, manifest, names, per_frame))
                if progress:
                    outcome = "failed" if isinstance(outcomes[-1], Failure) else "compared"
                    progress.finish(f"{outcome}: {printable(folder.path / pair.name)}")
            evaluations.append(
                Evaluation(
                    gt=gt_folder.path,
                    gen=folder.path,
                    metrics=selection.infos,
                    videos=tuple(outcome for outcome in outcomes if isinstance(outcome, Video)),
                    failures=tuple(outcome for outcome in outcomes if isinstance(outcome, Failure)),
                    notes=(*_ignored(gt_folder), *_ignored(folder), *gt_manifest.notes, *manifest.notes),
                    versions=versions,
                )
            )
    return evaluations


def _outcome(
    comparer: Comparer, pair: Pair, gt_manifest: Manifest, manifest: Manifest, names: Sequence[str], per_frame: bool
) -> Video | Failure:
    try:
        comparison = comparer.compare(pair)
    except (UnreadableVideoError, PairError) as error:
        return Failure(pair.name, pair.gt, pair.gen, str(error))
    gt_made, made = gt_manifest[pair.gt], manifest[pair.gen]
    return Video(
        name=pair.name,
        gt=pair.gt,
        gen=pair.gen,
        frames=comparison.frames,
        height=comparison.size[0],
        width=comparison.size[1],
        values={name: average(comparison.figures[name]) if name in comparison.figures else None for name in names},
        per_frame=comparison.figures if per_frame else None,
        made=made,
        gt_made=gt_made,
        notes=(*comparison.notes, *differences(gt_made, made)),
    )


def _ignored(folder: Folder) -> list[str]:
    names = ", ".join(printable(name) for name in folder.ignored[:5]) + (", ..." if len(folder.ignored) > 5 else "")
    return [f"passed over in {quoted(folder.path)}, being no videos: {names}"] if folder.ignored else []


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _versions(*, with_lpips: bool) -> dict[str, str]:
    libraries = ("cachekit-dit", "numpy", *(("lpips", "torch", "torchvision") if with_lpips else ()))
    return {
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in libraries},
        "opencv": cv2.__version__,
        "av": av.__version__,
        "libavcodec": ".".join(map(str, av.library_versions["libavcodec"])),
        "libswscale": ".".join(map(str, av.library_versions["libswscale"])),
    }
