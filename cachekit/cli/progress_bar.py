"""The progress bar of a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from cachekit.files.text import plain


class Bar:
    """One bar for all pieces, which moves with the steps of each."""

    def __init__(self, shown: Progress, task: TaskID) -> None:
        self._shown = shown
        self._task = task
        self._finished = 0

    def expect(self, pieces: int) -> None:
        self._shown.update(self._task, total=pieces)

    def start(self, what: str) -> None:
        self._shown.update(self._task, description=plain(what[:50]))

    def step(self, done: int, total: int) -> None:
        self._shown.update(self._task, completed=self._finished + done / total)

    def finish(self, line: str) -> None:
        self._finished += 1
        self._shown.update(self._task, completed=self._finished)
        if line:
            self._shown.console.print(plain(line), highlight=False, soft_wrap=True, markup=False)


@contextmanager
def bar(pieces: int) -> Iterator[Bar]:
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        yield Bar(shown, shown.add_task("", total=pieces))
