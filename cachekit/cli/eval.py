"""`cachekit eval`: the options, and the way from them to an evaluation and its reports."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cachekit.cli.clustering import Clustered, at_work, clustered, ray_options
from cachekit.cli.options import MOST_THREADS, Whole, json_option, plugin_option
from cachekit.cli.report import console, write_json
from cachekit.cli.results import RESULT, Command
from cachekit.cli.sharing import chosen_share, share_option
from cachekit.errors import CachekitError
from cachekit.files.reading import parse_json, read_text
from cachekit.files.text import plain
from cachekit.files.writing import check_folder

if TYPE_CHECKING:
    from cachekit_eval.evaluation import Compare, Options
    from cachekit_eval.results import Evaluation
    from cachekit_eval.selection import Selection

    from cachekit.interface.progress import Progress
    from cachekit.scaling.dealing import Done
    from cachekit.scaling.shares import Share


@click.command("eval", cls=Command)
@click.option("--gt", required=True, metavar="FOLDER", help="The uncached model's videos.")
@click.option(
    "--gen",
    required=True,
    multiple=True,
    metavar="FOLDER",
    help="A strategy's videos, of the same names; repeatable, or a quoted pattern such as 'runs/*': a row each.",
)
@click.option(
    "--metrics",
    multiple=True,
    metavar="NAMES",
    help="Metrics to compute, separated by commas (repeatable)  [default: psnr, ssim, lpips and plugins']; "
    "ms-ssim, flicker and vmaf where they are named.",
)
@click.option("--lpips-weights", metavar="FILE", help="torchvision's AlexNet, which LPIPS builds on.")
@click.option("--lpips-device", type=click.Choice(["auto", "cpu", "cuda"]), help="Where LPIPS runs  [default: auto].")
@click.option("--resize", is_flag=True, help="Resize and crop gt's frames to gen's where their sizes differ.")
@click.option("--common-frames", is_flag=True, help="Compare the frames that both videos have.")
@click.option("--subset", is_flag=True, help="Leave out gt's videos that gen lacks, and name them.")
@click.option("--per-frame", is_flag=True, help="Keep every frame's figures in the JSON.")
@click.option("--plot", type=RESULT, metavar="FILE", help="Draw each frame's figures, as .html, .png, .svg or .pdf.")
@click.option("--side-by-side", metavar="FOLDER", help="Write gt, gen and their difference as videos into FOLDER.")
@click.option("--csv", "csv_file", type=RESULT, metavar="FILE", help="Write a line a video to FILE.")
@click.option("--threads", type=Whole(1, MOST_THREADS), help="Threads to compute in; no digit depends on it.")
@click.argument("more", nargs=-1, metavar="")
@share_option
@ray_options
@json_option
@plugin_option
def evaluate_command(
    gt: str,
    gen: tuple[str, ...],
    metrics: tuple[str, ...],
    lpips_weights: str | None,
    lpips_device: str | None,
    resize: bool,
    common_frames: bool,
    subset: bool,
    per_frame: bool,
    plot: str | None,
    side_by_side: str | None,
    csv_file: str | None,
    threads: int | None,
    more: tuple[str, ...],
    shard: str | None,
    ray_address: str | None,
    gpus_per_worker: float | None,
    workers: int | None,
    json_file: str | None,
) -> int:
    """Compare videos with the uncached model's, pair by pair and frame by frame.

    Videos pair by file name: mp4, mkv, webm, avi, mov, gif and more, and folders of PNG or JPEG frames. With --json
    FILE, the same command goes on where it was stopped. Exit status 1: some pairs could not be compared; 2: the request
    was wrong.
    """
    from cachekit_eval.evaluation import Options, evaluate_request, prepare
    from cachekit_eval.exports import as_json, write_csv
    from cachekit_eval.files import check_outputs
    from cachekit_eval.pairs import expand
    from cachekit_eval.plots import check_plot, write_plot
    from cachekit_eval.selection import prepared
    from cachekit_eval.tables import show
    from cachekit_eval.visuals import write_side_by_side

    from cachekit.cli.progress import progress
    from cachekit.comparison.metrics import registered_metrics

    if more:
        raise CachekitError(f"unexpected {more[0]!r}; name each folder with --gen, or quote a pattern: --gen 'runs/*'")
    folders, notes = expand(gen, Path(gt))
    options = Options(
        resize=resize,
        common_frames=common_frames,
        subset=subset,
        per_frame=per_frame or plot is not None,
        threads=threads,
    )
    request = prepare(gt, folders, options)
    outputs = {"--json": json_file if json_file != "-" else None, "--csv": csv_file, "--plot": plot}
    weights = [Path(lpips_weights)] if lpips_weights else []
    check_outputs({what: Path(file) for what, file in outputs.items() if file}, [*request.inputs, *weights])
    if plot is not None:
        check_plot(Path(plot))
    if side_by_side is not None:
        _check_folder(Path(side_by_side), [Path(gt), *folders])
    fields = {"weights": lpips_weights, "device": lpips_device}
    named = registered_metrics(_split(metrics) if metrics else None, lpips_weights, lpips_device)
    selection = prepared(named, {name: value for name, value in fields.items() if value is not None})
    keep_in = json_file if json_file not in (None, "-") and _is_kept(Path(json_file)) else None
    with clustered(ray_address, gpus_per_worker, workers, shard, default_gpus=0) as cluster, progress(0) as shown:
        share = None if cluster else chosen_share(shard)
        evaluate = partial(evaluate_request, request, selection, notes=notes, progress=shown)
        if share:
            evaluations = evaluate_share(evaluate, share, keep_in)
        else:
            compare = dealing(cluster, selection, options, shown) if cluster else None
            evaluations = evaluate(keep_in=keep_in, also=shares_of(keep_in), compare=compare)
    show(evaluations, notes, console(json_file, markup=True))
    to_come = sum(evaluation.remaining for evaluation in evaluations)
    if share and to_come:
        console(json_file).print(f"{share} is done; {to_come} pairs are to come, and the last share writes {json_file}")
        return 1 if any(evaluation.failures for evaluation in evaluations) else 0
    if csv_file is not None:
        write_csv(evaluations, csv_file)
    if plot is not None and not write_plot(evaluations, Path(plot), common_frames=common_frames):
        click.echo(f"cachekit: {plain(plot)} was not drawn, since no pair has figures for each frame", err=True)
    if side_by_side is not None:
        write_side_by_side(evaluations, Path(side_by_side), common_frames=common_frames)
    if keep_in is None:
        write_json(as_json(evaluations, notes), json_file)
    return 0 if all(evaluation.complete for evaluation in evaluations) else 1


def evaluate_share(evaluate: Callable[..., list[Evaluation]], share: Share, keep_in: str | None) -> list[Evaluation]:
    """Compare this share's pairs, and put all together where the others have compared theirs."""
    if keep_in is None:
        raise CachekitError(f"{share} of an evaluation is kept in a file, for the others; name one with --json FILE")
    own = share.named(Path(keep_in))
    evaluations = evaluate(keep_in=own, also=shares_of(keep_in), part=share.deal)
    failed = failures_in(shares_of(keep_in))
    known = sum((str(e.gen), f.name) in failed for e in evaluations for f in e.failures)
    others = len(failed) - known
    if sum(evaluation.remaining for evaluation in evaluations) > others:
        return evaluations
    return evaluate(keep_in=keep_in, also=shares_of(keep_in))


def failures_in(files: Sequence[Path]) -> set[tuple[str, str]]:
    """The pairs that shares found can't be compared, by folder and name."""
    failed = set()
    for file in files:
        with suppress(OSError, ValueError, KeyError, TypeError):
            for folder in parse_json(read_text(file))["folders"]:
                failed |= {(str(folder["gen"]), str(failure["name"])) for failure in folder["failures"]}
    return failed


def shares_of(file: str | None) -> list[Path]:
    """The files of an evaluation's shares, beside the one that all of it goes into."""
    if file is None:
        return []
    path = Path(file)
    names = re.compile(rf"{re.escape(path.stem)}-\d+-of-\d+{re.escape(path.suffix)}")
    return sorted(other for other in path.parent.iterdir() if names.fullmatch(other.name))


def dealing(cluster: Clustered, selection: Selection, options: Options, shown: Progress) -> Compare:
    """Comparing by the workers of a cluster."""
    from cachekit.scaling.pairs import PairJob, deal_pairs

    fleet = cluster.fleet(PairJob(selection.metrics, options.resize, options.common_frames))
    failures = 0

    def told(done: Done, failed: bool) -> None:
        nonlocal failures
        failures += failed
        shown.start(f"{at_work(done, failures)}{plain(done.piece.name)}")

    return lambda pairs: deal_pairs(fleet, pairs, told)


def _is_kept(file: Path) -> bool:
    """Whether the result can be kept up to date in it: a terminal or a pipe is written to once."""
    return file.is_file() or not file.exists()


def _check_folder(folder: Path, inputs: Sequence[Path]) -> None:
    """Refuse a folder for videos that can't be made, that is one of those compared, or whose videos are a run's."""
    if any(folder.resolve() == path.resolve() for path in inputs):
        raise CachekitError(f"{str(folder)!r} is one of the folders to be compared; name another for --side-by-side")
    check_folder(folder)
    if (folder / "manifest.jsonl").exists():
        raise CachekitError(f"{str(folder)!r} holds videos of `cachekit run`; name another for --side-by-side")


def _split(metrics: tuple[str, ...]) -> list[str]:
    return [name.strip() for names in metrics for name in names.split(",") if name.strip()]
