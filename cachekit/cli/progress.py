"""How long work shows that it goes on: a bar on a terminal, plain lines elsewhere. On standard error, both."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import click


class Progress(Protocol):
    """Who is told how far the work is."""

    def expect(self, pieces: int) -> None:
        """So many pieces there are in all, after all."""

    def start(self, what: str) -> None:
        """A piece of work begins."""

    def step(self, done: int, total: int) -> None:
        """So many of its steps are done."""

    def finish(self, line: str) -> None:
        """The piece is done; `line` says what came of it."""


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
        click.echo(f"[{self._done}/{self._pieces}] {line}", err=True)
