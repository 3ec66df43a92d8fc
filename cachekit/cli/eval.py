"""`cachekit eval`: the options, and the way from them to an evaluation and its reports."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from cachekit.cli.options import MOST_THREADS, Whole, json_option, plugin_option
from cachekit.cli.report import console, write_json
from cachekit.cli.results import RESULT, Command
from cachekit.errors import CachekitError
from cachekit.files.writing import make_folder


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
    with progress(0) as shown:
        evaluations = evaluate_request(request, selection, keep_in=keep_in, notes=notes, progress=shown)
    show(evaluations, notes, console(json_file, markup=True))
    if csv_file is not None:
        write_csv(evaluations, csv_file)
    if plot is not None:
        write_plot(evaluations, Path(plot), common_frames=common_frames)
    if side_by_side is not None:
        write_side_by_side(evaluations, Path(side_by_side), common_frames=common_frames)
    if keep_in is None:
        write_json(as_json(evaluations, notes), json_file)
    return 0 if all(evaluation.complete for evaluation in evaluations) else 1


def _is_kept(file: Path) -> bool:
    """Whether the result can be kept up to date in it: a terminal or a pipe is written to once."""
    return file.is_file() or not file.exists()


def _check_folder(folder: Path, inputs: Sequence[Path]) -> None:
    """Refuse a folder for videos that can't be made, or that is one of those compared."""
    if any(folder.resolve() == path.resolve() for path in inputs):
        raise CachekitError(f"{str(folder)!r} is one of the folders to be compared; name another for --side-by-side")
    make_folder(folder)


def _split(metrics: tuple[str, ...]) -> list[str]:
    return [name.strip() for names in metrics for name in names.split(",") if name.strip()]
