"""Showing how far an evaluation is, on standard error: a bar on a terminal, a line a video elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

from cachekit_eval.evaluation import Progress
from cachekit_eval.results import Failure
from cachekit_eval.text import printable

SHOWN_NAME = 50


@contextmanager
def shown_progress() -> Iterator[Callable[[Progress], None]]:
    """What `evaluate` is to tell its progress."""
    if not sys.stderr.isatty():
        yield _print_line
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("")

        def update(progress: Progress) -> None:
            description = escape(printable(progress.name)[:SHOWN_NAME])
            bar.update(task, description=description, completed=progress.done, total=progress.total)

        yield update


def _print_line(progress: Progress) -> None:
    if progress.outcome is not None:
        outcome = "failed" if isinstance(progress.outcome, Failure) else "compared"
        click.echo(f"[{progress.done}/{progress.total}] {outcome}: {printable(progress.gen / progress.name)}", err=True)
