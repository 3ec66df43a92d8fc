"""The evaluation of folders: pair everything first, then compare pair after pair."""

from __future__ import annotations

import math
import os
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path

import attrs
import av
import cv2

from cachekit import Progress
from cachekit.errors import CachekitError
from cachekit_eval.comparing import Comparer, Comparison
from cachekit_eval.conditions import conditions_of
from cachekit_eval.exports import as_json
from cachekit_eval.feeding import PairError
from cachekit_eval.keeping import Digests, Keeper, Kept
from cachekit_eval.manifests import Manifest, differences, read_manifest
from cachekit_eval.metric import Measure, VideoMetric
from cachekit_eval.pairs import Folder, Pair, Pairing, pair_folders, read_folder
from cachekit_eval.reading import UnreadableVideoError
from cachekit_eval.results import Evaluation, Failure, Video
from cachekit_eval.selection import NamedMetric, Selection, select_metrics
from cachekit_eval.text import printable

PathLike = str | os.PathLike[str]
Part = Callable[[Sequence[Pair]], Sequence[Pair]]
Compare = Callable[[Sequence[Pair]], Iterator[tuple[Pair, Comparison | str]]]


@attrs.frozen(kw_only=True)
class Options:
    """How videos are compared, the same for every pair."""

    resize: bool = False
    """Fit gt's frames to gen's size."""
    common_frames: bool = False
    """Compare the frames that both videos have."""
    subset: bool = False
    """Leave out gt's videos that have no counterpart, and name them."""
    per_frame: bool = False
    """Keep each frame's figures."""
    threads: int | None = attrs.field(default=None)
    """All processors where None; no digit depends on it."""

    @threads.validator
    def _check_threads(self, _: object, value: int | None) -> None:
        if value is not None and value < 1:
            raise CachekitError(f"threads must be at least 1, not {value}")


def evaluate(
    gt: PathLike,
    gen: PathLike,
    metrics: Sequence[str | Measure | NamedMetric] | None = None,
    *,
    lpips_weights: PathLike | None = None,
    lpips_device: str | None = None,
    resize: bool = False,
    common_frames: bool = False,
    subset: bool = False,
    per_frame: bool = False,
    threads: int | None = None,
    keep_in: PathLike | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Compare the videos in the folder `gen` with the uncached model's of the same names in `gt`.

    `metrics` are names of those that ship, or objects, which may be named; None computes every one of the usual that
    can be had and reports the others as unavailable. `resize` fits gt's frames to gen's size, `common_frames`
    compares the frames that both videos have, `subset` the videos of gen where gt has more; without them, videos of
    different shapes are failures of the result and a video too much is an error. `per_frame` keeps each frame's
    figures. `threads` (all processors where None) changes no digit. `keep_in` is a JSON file that is kept up to date,
    and gone on from where there is one: a pair whose two files are unchanged is not computed anew.

    Raises CachekitError before any video is decoded where the request can't be met: no folder, no videos, a video
    without its counterpart, two of one stem, an unknown or unavailable metric.
    """
    return evaluate_folders(
        gt,
        [gen],
        metrics,
        lpips_weights=lpips_weights,
        lpips_device=lpips_device,
        resize=resize,
        common_frames=common_frames,
        subset=subset,
        per_frame=per_frame,
        threads=threads,
        keep_in=keep_in,
        progress=progress,
    )[0]


def evaluate_folders(
    gt: PathLike,
    gens: Sequence[PathLike],
    metrics: Sequence[str | Measure | NamedMetric] | None = None,
    *,
    lpips_weights: PathLike | None = None,
    lpips_device: str | None = None,
    resize: bool = False,
    common_frames: bool = False,
    subset: bool = False,
    per_frame: bool = False,
    threads: int | None = None,
    keep_in: PathLike | None = None,
    notes: Sequence[str] = (),
    progress: Progress | None = None,
) -> list[Evaluation]:
    """`evaluate` for several folders against one `gt`, each of them checked before the first is decoded.

    `notes` are about the request, for the JSON.
    """
    options = Options(resize=resize, common_frames=common_frames, subset=subset, per_frame=per_frame, threads=threads)
    request = prepare(gt, gens, options)
    selection = select_metrics(metrics, _text(lpips_weights), lpips_device)
    return evaluate_request(request, selection, keep_in=keep_in, notes=notes, progress=progress)


def evaluate_request(
    request: Request,
    selection: Selection,
    *,
    keep_in: PathLike | None = None,
    notes: Sequence[str] = (),
    progress: Progress | None = None,
    also: Sequence[Path] = (),
    part: Part | None = None,
    compare: Compare | None = None,
) -> list[Evaluation]:
    """What was prepared, evaluated.

    `also` are files that others have kept; of those pairs that are in none, `part` chooses which are compared now.
    `compare` does it elsewhere: it is given pairs, and yields each with what came of it, or why nothing did, in any
    order.
    """
    keeper = _keeper(keep_in, selection, request.options, also)
    return Evaluator(request, selection, keeper, tuple(notes), progress, part, compare).run()


@attrs.frozen
class Request:
    """What is to be compared with what, found and checked."""

    gt: Folder
    gens: tuple[Folder, ...]
    pairings: tuple[Pairing, ...]
    options: Options

    @property
    def inputs(self) -> list[Path]:
        """Every file that is read, a folder's frames included."""
        from cachekit_eval.manifests import manifest_files
        from cachekit_eval.numbering import frame_files

        folders = (self.gt, *self.gens)
        videos = [video for folder in folders for video in folder.videos.values()]
        frames = [frame for video in videos if video.is_dir() for frame in frame_files(video)[0]]
        return [*videos, *frames, *(file for folder in folders for file in manifest_files(folder.path))]


def prepare(gt: PathLike, gens: Sequence[PathLike], options: Options) -> Request:
    """Find the videos and pair them; raises CachekitError where that can't be done."""
    gt_folder = read_folder(Path(gt))
    folders = tuple(read_folder(Path(gen)) for gen in gens)
    pairings = tuple(pair_folders(gt_folder, folder, subset=options.subset) for folder in folders)
    return Request(gt_folder, folders, pairings, options)


@attrs.define
class _FolderWork:
    """A folder's pairs, and what came of those that are done."""

    folder: Folder
    pairing: Pairing
    manifest: Manifest
    done: dict[str, Video | Failure] = attrs.field(factory=dict)

    @property
    def outcomes(self) -> list[Video | Failure]:
        """In the order of the pairs, whichever was done first."""
        return [self.done[pair.name] for pair in self.pairing.pairs if pair.name in self.done]


@attrs.frozen
class _Piece:
    """A pair, the folder that it is of, and its files' digests where they are kept by."""

    work: _FolderWork
    pair: Pair
    digests: Digests | None


@attrs.define
class Evaluator:
    """One evaluation at work."""

    request: Request
    selection: Selection
    keeper: Keeper | None = None
    notes: tuple[str, ...] = ()
    progress: Progress | None = None
    part: Part | None = None
    compare: Compare | None = None
    _work: list[_FolderWork] = attrs.field(factory=list, init=False)
    _gt_manifest: Manifest = attrs.field(factory=Manifest, init=False)
    _versions: dict[str, str] = attrs.field(factory=dict, init=False)

    def run(self) -> list[Evaluation]:
        """Compare pair after pair; what is done is in the keeper's file, whatever ends this."""
        self._versions = _versions(with_lpips="lpips" in self.selection.metrics)
        self._gt_manifest = read_manifest(self.request.gt.path, self.request.gt.videos.values())
        self._work = [
            _FolderWork(folder, pairing, read_manifest(folder.path, folder.videos.values()))
            for folder, pairing in zip(self.request.gens, self.request.pairings, strict=True)
        ]
        if self.progress:
            self.progress.expect(sum(len(work.pairing.pairs) for work in self._work))
        done = 0
        try:
            for piece, outcome, said in self._outcomes():
                piece.work.done[piece.pair.name] = outcome
                done += 1
                if self.keeper:
                    self.keeper.write(self._content)
                if self.progress:
                    self.progress.finish(f"{said}: {printable(piece.work.folder.path / piece.pair.name)}")
        finally:
            if self.keeper and done:
                self.keeper.write(self._content, now=True)
        return self._evaluations()

    def _outcomes(self) -> Iterator[tuple[_Piece, Video | Failure, str]]:
        """What comes of each pair, and how: those that were kept as they are met, the others as they are compared."""
        pairs = [(work, pair) for work in self._work for pair in work.pairing.pairs]
        mine = {id(pair) for pair in self.part([pair for _, pair in pairs])} if self.part else None
        if self.compare is None:
            options = self.request.options
            with Comparer(
                self.selection.metrics, options.threads or _processors(), options.resize, options.common_frames
            ) as comparer:
                for piece, kept in self._pieces(pairs, mine):
                    yield self._here(piece, kept, comparer)
            return
        left = []
        for piece, kept in self._pieces(pairs, mine):
            if kept is None:
                left.append(piece)
            else:
                yield piece, self._video(piece, kept), "kept"
        by_pair = {id(piece.pair): piece for piece in left}
        for pair, found in self.compare([piece.pair for piece in left]):
            piece = by_pair[id(pair)]
            if self.progress:
                self.progress.start(printable(pair.name))
            if isinstance(found, str):
                yield piece, Failure(pair.name, pair.gt, pair.gen, found), "failed"
            else:
                yield piece, self._video(piece, found), "compared"

    def _pieces(
        self, pairs: Sequence[tuple[_FolderWork, Pair]], mine: set[int] | None
    ) -> Iterator[tuple[_Piece, Kept | None]]:
        """The pairs that are to be compared now, and those that an earlier run or another share has compared."""
        for work, pair in pairs:
            if self.progress and self.compare is None:
                self.progress.start(printable(pair.name))
            digests = self.keeper.digests(pair.gt, pair.gen) if self.keeper else None
            kept = self.keeper.find(digests) if self.keeper else None
            if kept is not None or mine is None or id(pair) in mine:
                yield _Piece(work, pair, digests), kept

    def _here(self, piece: _Piece, kept: Kept | None, comparer: Comparer) -> tuple[_Piece, Video | Failure, str]:
        pair = piece.pair
        if kept is not None:
            return piece, self._video(piece, kept), "kept"
        try:
            return piece, self._video(piece, comparer.compare(pair)), "compared"
        except (UnreadableVideoError, PairError) as error:
            return piece, Failure(pair.name, pair.gt, pair.gen, str(error)), "failed"

    def _content(self) -> Mapping[str, object]:
        return as_json(self._evaluations(), self.notes)

    def _video(self, piece: _Piece, found: Comparison | Kept) -> Video:
        pair = piece.pair
        gt_made, made = self._gt_manifest[pair.gt], piece.work.manifest[pair.gen]
        available = self.selection.metrics
        return Video(
            name=pair.name,
            gt=pair.gt,
            gen=pair.gen,
            frames=found.frames,
            height=found.size[0],
            width=found.size[1],
            values={
                info.name: found.values.get(info.name) if info.name in available else None
                for info in self.selection.infos
            },
            per_frame={name: values for name, values in found.per_frame.items() if name in available}
            if self.request.options.per_frame
            else None,
            features={name: values for name, values in found.features.items() if name in available},
            made=made,
            gt_made=gt_made,
            frame_notes=found.notes,
            notes=(*found.notes, *differences(gt_made, made)),
            digests=piece.digests,
        )

    def _evaluations(self) -> list[Evaluation]:
        return [self._evaluation(work) for work in self._work]

    def _evaluation(self, work: _FolderWork) -> Evaluation:
        gt = self.request.gt
        videos = tuple(outcome for outcome in work.outcomes if isinstance(outcome, Video))
        remaining = len(work.pairing.pairs) - len(work.outcomes)
        return Evaluation(
            gt=gt.path,
            gen=work.folder.path,
            metrics=self.selection.infos,
            videos=videos,
            failures=tuple(outcome for outcome in work.outcomes if isinstance(outcome, Failure)),
            notes=(
                *gt.notes,
                *work.folder.notes,
                *work.pairing.notes,
                *self._gt_manifest.notes,
                *work.manifest.notes,
            ),
            versions=self._versions,
            left_out=work.pairing.left_out,
            remaining=remaining,
            pooled={} if remaining or not videos else _pooled(self.selection.metrics, videos),
        )


def _pooled(metrics: Mapping[str, Measure], videos: Sequence[Video]) -> dict[str, float]:
    """The figures that there are of all videos together; CachekitError where a stranger's metric fails."""
    figures = {}
    for name, metric in metrics.items():
        if isinstance(metric, VideoMetric) and metric.pooled:
            try:
                figures[name] = float(metric.pool([video.features[name] for video in videos]))
            except Exception as error:
                raise CachekitError(f"the metric {name!r} failed with {type(error).__name__}: {error}") from error
            if not math.isfinite(figures[name]):
                raise CachekitError(f"the metric {name!r} is no number over these videos; leave it out with --metrics")
    return figures


def _keeper(
    keep_in: PathLike | None, selection: Selection, options: Options, also: Sequence[Path] = ()
) -> Keeper | None:
    if keep_in is None:
        return None
    pooled = {name for name, metric in selection.metrics.items() if isinstance(metric, VideoMetric) and metric.pooled}
    conditions = conditions_of(selection.metrics, resize=options.resize, common_frames=options.common_frames)
    return Keeper(Path(keep_in), conditions, options.per_frame, frozenset(pooled), tuple(also))


def _text(path: PathLike | None) -> str | None:
    return None if path is None else os.fspath(path)


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
