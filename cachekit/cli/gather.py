"""`cachekit gather`: the shares of a piece of work, made on several machines, joined into what one would have made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import click

from cachekit.cli.options import json_option, plugin_option


@click.command()
@click.argument("sources", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Where what is joined goes.")
@plugin_option
@json_option
def gather(sources: tuple[Path, ...], out: Path, json_file: str | None) -> int:
    """Join the folders that shares of `run` wrote, those of `compare`'s, `calibrate`'s, or `eval`'s JSON files.

    What comes of it is what one process would have made. Gathering again adds what is not there yet.
    """
    return gather_folders_of_videos(sources, out, json_file)


def gather_folders_of_videos(sources: tuple[Path, ...], out: Path, json_file: str | None) -> int:
    from cachekit.cli.progress import progress
    from cachekit.cli.report import console, write_json
    from cachekit.scaling.gathering import gather_videos

    with progress(0) as shown:
        gathered = gather_videos(sources, out, shown)
    for sentence in gathered.lacking:
        click.echo(f"cachekit: {sentence}; run its share again", err=True)
    console(json_file).print(f"{out}: {gathered.videos} videos, {gathered.copied} of them new", highlight=False)
    content: dict[str, Any] = {"folder": str(out), **attrs.asdict(gathered)}
    write_json(content, json_file)
    return 1 if gathered.lacking else 0
