"""How long work says how far it is, to whoever shows it."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Who is told how far the work is."""

    def expect(self, pieces: int) -> None:
        """So many pieces there are in all, after all."""

    def start(self, what: str) -> None:
        """A piece of work begins."""

    def step(self, done: int, total: int) -> None:
        """So many of its steps are done."""

    def finish(self, line: str) -> None:
        """The piece is done; `line` says what came of it, and where it is empty nothing is said."""
