"""Standard output and error that outlive their readers: a closed pipe ends the printing, not the work."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO


class Outlet:
    """A text stream that remembers that it can't be written to any more, and drops what comes after.

    Characters that its encoding lacks, and lone surrogates, are written as escapes.
    """

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.failure: OSError | None = None

    def write(self, text: str) -> int:
        if self.failure is None:
            try:
                self.stream.write(self._writable(text))
            except OSError as error:
                self.failure = error
        return len(text)

    def flush(self) -> None:
        if self.failure is None:
            try:
                self.stream.flush()
            except OSError as error:
                self.failure = error

    def __getattr__(self, name: str) -> object:
        return getattr(self.stream, name)

    def _writable(self, text: str) -> str:
        if text.isascii():
            return text
        encoding = getattr(self.stream, "encoding", None) or "utf-8"
        return text.encode(encoding, "backslashreplace").decode(encoding)


@contextmanager
def outlets() -> Iterator[tuple[Outlet, Outlet]]:
    """Put outlets in the place of `sys.stdout` and `sys.stderr`."""
    streams = sys.stdout, sys.stderr
    out, err = Outlet(sys.stdout), Outlet(sys.stderr)
    sys.stdout, sys.stderr = out, err
    try:
        yield out, err
    finally:
        out.flush()
        err.flush()
        sys.stdout, sys.stderr = streams
        for outlet in (out, err):
            if outlet.failure is not None:
                forget(outlet.stream)


def forget(stream: TextIO) -> None:
    """Send what a stream still holds nowhere, so that the interpreter does not fail on it at its end."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
