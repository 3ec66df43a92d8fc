"""Reading files and JSON that anybody may have written: within bounds, and with ValueError or OSError for the rest."""

from __future__ import annotations

import json
import math
import os
import re
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

LARGEST_FILE = 256 * 2**20
"""Bytes up to which a file is read: a calibration of a thousand steps takes 20 MB."""
CHUNK = 2**20
"""Bytes read at once."""
DEEPEST = 64
"""Levels of lists and objects in JSON."""
LARGEST_WHOLE = 2**64 - 1
"""The largest whole number in JSON, which a seed may be."""
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[][{}]', re.DOTALL)
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def read_bytes(path: Path | Traversable, limit: int = LARGEST_FILE) -> bytes:
    """What a file holds, or a pipe that somebody writes to; one that nobody does is empty and never waited for.

    Raises OSError where it can't be read, ValueError where it is longer than `limit`.
    """
    if not isinstance(path, Path):
        return path.read_bytes()
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor, which pathlib does not open
        if hasattr(os, "set_blocking"):
            os.set_blocking(descriptor, True)
        parts, length = [], 0
        while part := file.read(CHUNK):  # a read of `limit` would take that much memory, however short the file
            parts.append(part)
            length += len(part)
            if length > limit:
                raise ValueError(f"it is longer than {limit // 2**20} MiB")
    return b"".join(parts)


def read_text(path: Path | Traversable, limit: int = LARGEST_FILE) -> str:
    """A file's text, in UTF-8 with or without a byte order mark; raises OSError or ValueError."""
    try:
        return read_bytes(path, limit).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"it is not UTF-8 (byte {error.start})") from error


def is_regular(path: Path) -> bool:
    """Whether it is a plain file, or a link to one: no folder, pipe or device."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except (OSError, ValueError):
        return False


def parse_json(text: str) -> Any:
    """JSON as its standard has it: no NaN or infinity, no number that overflows, no half of a surrogate pair.

    Raises ValueError for what is none, or is nested too deep.
    """
    if text.count("[") + text.count("{") > DEEPEST and _depth(text) > DEEPEST:
        raise ValueError(f"it is nested more than {DEEPEST} levels deep")
    value = json.loads(text, parse_int=_whole, parse_float=_finite, parse_constant=_constant)
    try:
        if not text.isascii():
            text.encode()
        if _SURROGATE.search(text):
            json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise ValueError("a text in it has half of a surrogate pair, which is no character") from None
    return value


def _depth(text: str) -> int:
    depth = deepest = 0
    for token in _TOKEN.finditer(text):
        mark = token.group()[0]
        if mark in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif mark in "]}":
            depth -= 1
    return deepest


def _whole(digits: str) -> int:
    if len(digits) > 21 or abs(int(digits)) > LARGEST_WHOLE:
        raise ValueError(f"the number {shortened(digits)} is too large")
    return int(digits)


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError(f"the number {shortened(digits)} is too large")
    return value


def _constant(name: str) -> float:
    raise ValueError(f"{name} is no number of JSON")


def shortened(text: str, longest: int = 60) -> str:
    """A text for a sentence: cut where it is long."""
    return text if len(text) <= longest else f"{text[: longest - 3]}..."
