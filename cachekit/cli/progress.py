"""How long work shows that it goes on: a bar on a terminal, plain lines elsewhere. On standard error, both."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

from cachekit.files.text import plain
from cachekit.interface.progress import Progress


@contextmanager
def progress(pieces: int) -> Iterator[Progress]:
    """Progress over so many pieces of work."""
    if sys.stderr.isatty():
        from cachekit.cli.progress_bar import bar

        with bar(pieces) as shown:
            yield shown
    else:
        yield Lines(pieces)


class Lines:
    """A line for each finished piece."""

    def __init__(self, pieces: int) -> None:
        self._pieces = pieces
        self._done = 0

    def expect(self, pieces: int) -> None:
        self._pieces = pieces

    def start(self, what: str) -> None:
        self._done += 1

    def step(self, done: int, total: int) -> None:
        pass

    def finish(self, line: str) -> None:
        if line:
            click.echo(f"[{self._done}/{self._pieces}] {plain(line)}", err=True)
