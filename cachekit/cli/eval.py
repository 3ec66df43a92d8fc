"""`cachekit eval`: the options, and the way from them to an evaluation and its reports."""

from __future__ import annotations

from pathlib import Path

import click

from cachekit.cli.options import MOST_THREADS, Whole, json_option, plugin_option
from cachekit.cli.report import console, write_json
from cachekit.cli.results import RESULT, Command
from cachekit.errors import CachekitError


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
    help="Metrics to compute, separated by commas (repeatable); all that can be had where none is named.",
)
@click.option("--lpips-weights", metavar="FILE", help="torchvision's AlexNet state dict, which LPIPS builds on.")
@click.option("--resize", is_flag=True, help="Resize and crop gt's frames to gen's where their sizes differ.")
@click.option("--common-frames", is_flag=True, help="Compare the first frames that both videos have.")
@click.option("--per-frame", is_flag=True, help="Keep every frame's figures in the JSON.")
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
    resize: bool,
    common_frames: bool,
    per_frame: bool,
    csv_file: str | None,
    threads: int | None,
    more: tuple[str, ...],
    json_file: str | None,
) -> int:
    """Compare videos with the uncached model's, pair by pair and frame by frame.

    Videos pair by file name: mp4, mkv, webm, avi, mov, gif, and folders of PNG frames. Exit status 1: some pairs
    could not be compared; 2: the request was wrong.
    """
    from cachekit_eval.evaluation import evaluate_folders
    from cachekit_eval.exports import as_json, write_csv
    from cachekit_eval.pairs import expand
    from cachekit_eval.tables import show

    from cachekit.cli.progress import progress
    from cachekit.comparison.metrics import registered_metrics

    if more:
        raise CachekitError(f"unexpected {more[0]!r}; name each folder with --gen, or quote a pattern: --gen 'runs/*'")
    for file in (json_file if json_file != "-" else None, csv_file):
        _check_parent(file)
    folders, notes = expand(gen, Path(gt))
    named = registered_metrics(_split(metrics) if metrics else None, lpips_weights)
    with progress(0) as shown:
        evaluations = evaluate_folders(
            gt,
            folders,
            named,
            lpips_weights=lpips_weights,
            resize=resize,
            common_frames=common_frames,
            per_frame=per_frame,
            threads=threads,
            progress=shown,
        )
    show(evaluations, notes, console(json_file, markup=True))
    if csv_file is not None:
        write_csv(evaluations, csv_file)
    write_json(as_json(evaluations, notes), json_file)
    return 0 if all(evaluation.complete for evaluation in evaluations) else 1


def _split(metrics: tuple[str, ...]) -> list[str]:
    return [name.strip() for names in metrics for name in names.split(",") if name.strip()]


def _check_parent(file: str | None) -> None:
    """Refuse an output file that can't be written before the work, not after it."""
    if file is not None and (not Path(file).parent.is_dir() or Path(file).is_dir()):
        raise CachekitError(f"the file {file!r} can't be written; name a file in a folder that exists")
