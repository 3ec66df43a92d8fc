"""Joining the folders that shares of a comparison have made, each perhaps on a machine of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cachekit.comparison.quality import FILE, FILES
from cachekit.comparison.running import VIDEOS
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
    known = (out / FILE).read_text(encoding="utf-8").splitlines() if (out / FILE).exists() else []
    judged = [line for file in files for line in file.read_text(encoding="utf-8").splitlines()]
    with (out / FILE).open("a", encoding="utf-8") as memory:
        memory.writelines(f"{line}\n" for line in dict.fromkeys(judged) if line not in known)
