"""Files that a command writes, looked at before the work: each can be written, and none is what it is made from."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from cachekit.errors import CachekitError
from cachekit.files.writing import check_target

STANDARD_OUTPUT = "-"
KEPT = ("manifest.jsonl", "quality.jsonl", "study.jsonl", "done.jsonl", "asked.json", "index.html", "settings.toml")
"""What commands keep in their folders, beside the videos; shares have files of their own."""
SHARE = re.compile(r"-\d+-of-\d+(?=\.jsonl$)")
VIDEOS = (".mp4", ".mkv", ".webm", ".mov", ".avi", ".gif", ".png")


class ResultFile(click.ParamType[str]):
    """A file that a command writes; it must be one that can be written."""

    name = "file"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value != STANDARD_OUTPUT:
            check_target(Path(value), f"the file of {param.opts[-1] if param else 'the result'}")
        return value


RESULT = ResultFile()


class Command(click.Command):
    """A command that never writes a result onto what another of its options names."""

    def invoke(self, ctx: click.Context) -> Any:
        check_results(self, ctx)
        return super().invoke(ctx)


def check_results(command: click.Command, context: click.Context) -> None:
    """Refuse a result's file that an option names as an input, or for another result, or that a folder keeps."""
    results = {
        parameter.opts[-1]: value
        for parameter in command.params
        if isinstance(parameter.type, ResultFile)
        and (value := context.params.get(parameter.name or "")) not in (None, STANDARD_OUTPUT)
    }
    others = list(named(command, context))
    for option, file in results.items():
        for other, path in others:
            if same(Path(file), path):
                raise CachekitError(f"{option} would write onto {str(path)!r}, which {other} names; name another file")
            if path.is_dir() and kept(Path(file)) and same(Path(file).parent, path):
                raise CachekitError(f"{option} would write onto a file that {str(path)!r} keeps; name another file")
        for other, path in results.items():
            if other != option and same(Path(file), Path(path)):
                raise CachekitError(f"{option} and {other} name the same file; name two")


def named(command: click.Command, context: click.Context) -> Iterator[tuple[str, Path]]:
    """Every file and folder that another option or argument names, with its name."""
    for parameter in command.params:
        if isinstance(parameter.type, ResultFile):
            continue
        value = context.params.get(parameter.name or "") or context.meta.get(f"cachekit.{parameter.name}")
        values = value if isinstance(value, (tuple, list)) else [value]
        name = parameter.opts[-1] if isinstance(parameter, click.Option) else "the command"
        for text in values:
            if not isinstance(text, (str, Path)):
                continue
            for part in (str(text), *str(text).split(":"), *(part.partition("=")[2] for part in str(text).split(":"))):
                if part and "\0" not in part:
                    yield name, Path(part)


def kept(file: Path) -> bool:
    return SHARE.sub("", file.name) in KEPT or file.suffix.lower() in VIDEOS


def same(one: Path, other: Path) -> bool:
    """Whether both are one file, by whatever names; one that is not there yet by its path."""
    try:
        if one.exists() and other.exists():
            return one.samefile(other)
        return os.path.realpath(one) == os.path.realpath(other)
    except (OSError, ValueError):
        return False
