"""Joining the folders that shares of a comparison have made, each perhaps on a machine of its own."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import attrs

from cachekit.comparison.quality import FILE, FILES, judged
from cachekit.comparison.running import VIDEOS
from cachekit.files.writing import append_whole
from cachekit.generation.manifest import manifest_files, read_entries
from cachekit.interface.progress import Progress
from cachekit.scaling.gathering import gather_videos


def gather_comparison(sources: Sequence[Path], out: Path, shown: Progress) -> None:
    """Copy every contender's videos, and what was judged of them, into one report's folder."""
    folders = [
        folder
        for source in sources
        for folder in sorted((source / VIDEOS).glob("*"))
        if any(map(read_entries, manifest_files(folder)))
    ]
    for name in dict.fromkeys(folder.name for folder in folders):
        gather_videos([folder for folder in folders if folder.name == name], out / VIDEOS / name, shown)
    files = [file for source in sources for file in sorted(source.glob(FILES)) if source.resolve() != out.resolve()]
    known = set(judged_lines(out / FILE)) if (out / FILE).exists() else set()
    for line in dict.fromkeys(line for file in files for line in judged_lines(file)):
        if line not in known:
            append_whole(out / FILE, line, "the file of figures")


def judged_lines(path: Path) -> list[str]:
    """What a memory holds, a line each, in one form."""
    return [json.dumps(attrs.asdict(record)) + "\n" for record in judged(path)]
