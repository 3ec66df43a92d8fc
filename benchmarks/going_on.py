"""A measurement of many parts that goes on where it was stopped."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from cachekit.files.writing import write_whole


def gone_on(
    names: Sequence[str], look: Callable[[str], Any], work: Path | None, json_file: Path | None
) -> dict[str, Any]:
    """What `look` finds of each name, by name.

    In the folder `work` each is kept as soon as it is found, and one that is there is not looked at again. Once all are
    written to `json_file` they are taken away from there, so that the next measurement is a new one.
    """
    found = {name: kept_or_found(name, look, work) for name in names}
    if json_file is not None:
        write_whole(json_file, json.dumps(found, indent=1) + "\n", "the measurement's file")
        for name in names if work is not None else ():
            file_of(name, work).unlink()
    return found


def kept_or_found(name: str, look: Callable[[str], Any], work: Path | None) -> Any:
    if work is None:
        return look(name)
    file = file_of(name, work)
    if not file.exists():
        began = time.monotonic()
        found = look(name)
        click.echo(f"{name}: {time.monotonic() - began:.1f} s")
        work.mkdir(parents=True, exist_ok=True)
        write_whole(file, json.dumps(found) + "\n", "what was measured")
    return json.loads(file.read_text(encoding="utf-8"))


def file_of(name: str, work: Path) -> Path:
    return work / f"{name}.json"
