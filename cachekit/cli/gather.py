"""`cachekit gather`: the shares of a piece of work, made on several machines, joined into what one would have made."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs
import click

from cachekit.cli.command_line import command_line
from cachekit.cli.options import json_option, plugin_option
from cachekit.cli.results import Command
from cachekit.errors import CachekitError
from cachekit.generation.manifest import difference

VIDEOS, REPORT, LEDGER = "videos", "a comparison", "a calibration's runs"
"""The kinds of folders that shares write."""


@click.command(cls=Command)
@click.argument("sources", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Where what is joined goes.")
@plugin_option
@json_option
@click.pass_context
def gather(context: click.Context, sources: tuple[Path, ...], out: Path, json_file: str | None) -> int:
    """Join the folders that shares of `run`, `compare`, `calibrate` and `eval` wrote on several machines.

    What comes of it is what one process would have made. Gathering again adds what is not there yet.
    """
    kinds = {source: kind_of(source) for source in sources}
    first = kinds[sources[0]]
    for source, kind in kinds.items():
        if kind != first:
            raise CachekitError(
                f"{str(sources[0])!r} holds {first} and {str(source)!r} holds {kind}, so they can't be gathered; "
                "name folders of one kind"
            )
    if first == REPORT:
        return gather_reports(sources, out, json_file)
    if first == LEDGER:
        return gather_ledgers(sources, out, command_line(context), json_file)
    return gather_folders_of_videos(sources, out, json_file)


def kind_of(source: Path) -> str:
    """What a folder holds, in words."""
    from cachekit.cli.comparing import FILE
    from cachekit.scaling.ledger import is_ledger

    if (source / FILE).exists():
        return REPORT
    return LEDGER if is_ledger(source) else VIDEOS


def gather_reports(sources: Sequence[Path], out: Path, json_file: str | None) -> int:
    """One report of the videos and judgements in these folders."""
    from cachekit.cli.comparing import load_asked, run_comparison, show_comparison
    from cachekit.cli.progress import progress
    from cachekit.comparison.gathering import gather_comparison
    from cachekit.files.writing import check_folder

    asked = [load_asked(source) for source in sources]
    for source, other in zip(sources, asked, strict=True):
        for field in attrs.fields(type(other)):
            theirs, ours = getattr(other, field.name), getattr(asked[0], field.name)
            if field.eq and theirs != ours:
                raise CachekitError(
                    f"{str(source)!r} and {str(sources[0])!r} can't be gathered: one compares with "
                    f"{difference(field.name.replace('_', ' '), ours, theirs)}; gather folders of one comparison"
                )
    check_folder(out)
    with progress(0) as shown:
        gather_comparison(sources, out, shown)
        done = run_comparison(asked[0], out, shown, made=True)
    return show_comparison(done, out, None, json_file)


def gather_ledgers(sources: Sequence[Path], out: Path, command: str, json_file: str | None) -> int:
    """The profile that the runs in these folders come to."""
    from cachekit.calibration.job import job_from
    from cachekit.cli.calibrate import show, versions
    from cachekit.files.writing import check_target
    from cachekit.scaling.ledger import read_ledgers

    record, done = read_ledgers(sources)
    job = job_from(record)
    check_target(out, "the file of --out")
    to_come = [run for key, run in zip(job.keys, job.runs, strict=True) if key not in done]
    if to_come:
        raise CachekitError(
            f"{len(to_come)} of {len(job.runs)} runs are not in these folders, {to_come[0].prompt!r} with seed "
            f"{to_come[0].seed} among them; name the folders of all shares, or run the shares that lack them"
        )
    profile, calibrator = job.profile(done, command, versions())
    profile.save(out)
    show(out, profile, calibrator, json_file)
    return 0


def gather_folders_of_videos(sources: Sequence[Path], out: Path, json_file: str | None) -> int:
    """One folder of all the videos."""
    from cachekit.cli.progress import progress
    from cachekit.cli.report import console, write_json
    from cachekit.scaling.gathering import gather_videos

    with progress(0) as shown:
        gathered = gather_videos(sources, out, shown)
    for sentence in gathered.lacking:
        click.echo(f"cachekit: {sentence}; run its share again", err=True)
    console(json_file).print(f"{out}: {gathered.videos} videos, {gathered.copied} of them new")
    content: dict[str, Any] = {"folder": str(out), **attrs.asdict(gathered)}
    write_json(content, json_file)
    return 1 if gathered.lacking else 0
