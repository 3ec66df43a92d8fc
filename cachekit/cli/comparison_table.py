"""The terminal's table of a comparison."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from cachekit.comparison.results import Comparison, Row


def show_table(shown: Console, comparison: Comparison) -> None:
    """A row a contender, in sections of one number of computed steps, the best first.

    `*` marks the frontier, `≈` what can't be told apart from the first of its section.
    """
    from rich.table import Table

    metrics = [metric for metric in comparison.metrics if metric.unavailable is None]
    about = comparison.about
    table = Table(title=f"{about['model']}, {about['steps']} steps, {len(about['prompts'])} videos each")
    table.add_column("")
    table.add_column("setting", overflow="fold")
    for name in ("computed", "ideal", "speedup", "denoising s"):
        table.add_column(name, justify="right")
    for metric in metrics:
        table.add_column(f"{metric.label} {metric.unit}".strip(), justify="right")
        table.add_column("worst", justify="right")
    frontier = {row.label for row in comparison.frontier()}
    ties = comparison.ties()
    previous: int | None = None
    best = ""
    for row in comparison.ranked():
        count = round(row.computed) if row.computed else None
        if previous is not None and count != previous:
            table.add_section()
        if count != previous:
            best = row.label
        previous = count
        cells = [text(row.computed, ".1f"), text(row.ideal_speedup, ".2f"), text(row.speedup, ".2f")]
        cells.append(text(row.seconds.denoising if row.seconds else None, ".2f"))
        for metric in metrics:
            figure = row.quality.get(metric.name)
            digits = ".2f" if metric.unit else ".4f"
            cells += [text(figure.mean if figure else None, digits), text(figure.worst if figure else None, digits)]
        marks = ("*" if row.label in frontier else "") + ("≈" if best in ties.get(row.label, []) else "")
        table.add_row(marks, row.label + unfinished(row), *cells)
    shown.print(table)
    if any(ties.values()):
        shown.print("≈ can't be told apart from the first of its section (95%, paired by video)", highlight=False)
    for metric in comparison.metrics:
        if metric.unavailable is not None:
            shown.print(f"{metric.label} is not available: {metric.unavailable}")


def unfinished(row: Row) -> str:
    return f" ({len(row.failures)} of {len(row.videos)} failed)" if row.failures else ""


def text(value: float | None, digits: str) -> str:
    return "-" if value is None else format(value, digits)
