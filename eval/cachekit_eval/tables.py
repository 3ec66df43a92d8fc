"""An evaluation as people read it: a row a folder (mean ± spread over videos), the worst videos, what went wrong."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cachekit_eval.results import Evaluation, MetricInfo, Summary
from cachekit_eval.text import printable

NONE = "-"
SHOWN_NAME = 60
DECIMALS = 4


def show(evaluations: Sequence[Evaluation], notes: Sequence[str], console: Console) -> None:
    """Print the evaluations, all of one gt folder and the same metrics."""
    console.print(_overview(evaluations))
    if any(evaluation.videos for evaluation in evaluations):
        console.print(_worst(evaluations))
    lines = [line for evaluation in evaluations for line in _incomplete(evaluation)]
    lines += [f"{info.label} is unavailable: {info.unavailable}" for info in evaluations[0].metrics if info.unavailable]
    lines += [f"Note: {note}" for note in [*notes, *_notes(evaluations)]]
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _overview(evaluations: Sequence[Evaluation]) -> Table:
    first = evaluations[0]
    table = Table(title=escape(f"compared with {printable(first.gt)}"), title_justify="left")
    table.add_column("videos in", overflow="fold")
    table.add_column("compared", justify="right", overflow="fold")
    with_strategy = any(evaluation.strategy for evaluation in evaluations)
    with_speedup = any(evaluation.speedup or evaluation.ideal_speedup for evaluation in evaluations)
    if with_strategy:
        table.add_column("strategy", overflow="fold")
    if with_speedup:
        table.add_column("speedup (ideal)", justify="right", overflow="fold")
    for info in first.metrics:
        table.add_column(_heading(info), justify="right", overflow="fold")
    for evaluation in evaluations:
        total = len(evaluation.videos) + len(evaluation.failures)
        row = [escape(printable(evaluation.gen)), f"{len(evaluation.videos)} of {total}"]
        if with_strategy:
            row.append(escape(_strategy(evaluation)))
        if with_speedup:
            row.append(f"{_times(evaluation.speedup)} ({_times(evaluation.ideal_speedup)})")
        row.extend(_mean(info, evaluation[info.name]) for info in evaluation.metrics)
        table.add_row(*row)
    return table


def _worst(evaluations: Sequence[Evaluation]) -> Table:
    table = Table(title="worst videos", title_justify="left")
    several = len(evaluations) > 1
    if several:
        table.add_column("videos in", overflow="fold")
    table.add_column("metric")
    table.add_column("figure", justify="right")
    table.add_column("video", overflow="fold")
    for evaluation in evaluations:
        for info in evaluation.metrics:
            summary = evaluation[info.name]
            if summary is not None and summary.worst is not None:
                folder = [escape(printable(evaluation.gen))] if several else []
                figure = f"{summary.worst_value:.{DECIMALS}f}"
                table.add_row(*folder, _heading(info), figure, escape(printable(summary.worst)))
    return table


def _heading(info: MetricInfo) -> str:
    return f"{info.label} ({info.unit})" if info.unit else info.label


def _mean(info: MetricInfo, summary: Summary | None) -> str:
    if info.unavailable:
        return "unavailable"
    if summary is None or summary.mean is None:
        return NONE
    if summary.std is None:
        return f"{summary.mean:.{DECIMALS}f}"
    interval = f" [{', '.join(f'{end:.{DECIMALS}f}' for end in summary.interval)}]" if summary.interval else ""
    return f"{summary.mean:.{DECIMALS}f} ± {summary.std:.{DECIMALS}f}{escape(interval)}"


def _incomplete(evaluation: Evaluation) -> list[str]:
    """The failures of a folder, and what can still be said of the rest, in lines."""
    if evaluation.complete:
        return []
    failed, compared = len(evaluation.failures), len(evaluation.videos)
    lines = [f"{printable(evaluation.gen)}: {failed} of {failed + compared} pairs failed, so it has no mean"]
    lines += [f"  {printable(failure.name)}: {failure.reason}" for failure in evaluation.failures]
    partial = [
        f"{info.label} {summary.evaluated_mean:.{DECIMALS}f}"
        for info in evaluation.metrics
        if (summary := evaluation[info.name]) is not None
    ]
    return [*lines, f"  over the other {compared} only: {', '.join(partial)}"] if partial else lines


def _notes(evaluations: Sequence[Evaluation]) -> list[str]:
    """The notes of all folders and videos, each once, with how many videos it is about."""
    notes = list(dict.fromkeys(note for evaluation in evaluations for note in evaluation.notes))
    for evaluation in evaluations:
        about: dict[str, list[str]] = {}
        for video in evaluation.videos:
            for note in video.notes:
                about.setdefault(note, []).append(video.name)
        for note, names in about.items():
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            notes.append(f"{printable(evaluation.gen)}: {_short(names[0])}{more}: {note}")
    return notes


def _strategy(evaluation: Evaluation) -> str:
    params = evaluation.shared("params")
    settings = ", ".join(f"{name}={value}" for name, value in params.items()) if isinstance(params, dict) else ""
    shown = settings if len(settings) <= SHOWN_NAME else f"{settings[:SHOWN_NAME]}..."
    predictor = f", {evaluation.predictor}" if evaluation.predictor else ""
    return printable(f"{evaluation.strategy or NONE}{f' ({shown})' if shown else ''}{predictor}")


def _times(speedup: float | None) -> str:
    return NONE if speedup is None else f"{speedup:.2f}x"


def _short(name: str) -> str:
    shown = printable(name)
    return shown if len(shown) <= SHOWN_NAME else f"{shown[: SHOWN_NAME - 3]}..."
