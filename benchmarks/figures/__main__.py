"""`python -m benchmarks.figures [NAME...]`: measure, keep, and draw the pages anew."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import click

from benchmarks.figures.every import FIGURES, MEASUREMENTS
from benchmarks.figures.measuring import ROOT, Measurement
from benchmarks.figures.pages import PAGES, drawn
from cachekit.errors import CachekitError


@click.command()
@click.argument("names", nargs=-1)
@click.option("--pages", is_flag=True, help="Measure nothing: draw the pages from what is kept.")
@click.option("--list", "listed", is_flag=True, help="What there is, and when it was measured.")
@click.option(
    "--work",
    type=click.Path(path_type=Path, file_okay=False),
    default=ROOT / "figures",
    help="Where measurements keep their videos and go on after a stop  [default: figures/].",
)
def main(names: tuple[str, ...], pages: bool, listed: bool, work: Path) -> None:
    """Measure NAMES, or all, and draw README.md's and docs/' figures from what was found.

    A stopped measurement goes on with the same command. One that fails is named, and the others are made.
    """
    try:
        chosen = [named(name) for name in names] or list(MEASUREMENTS.values())
    except CachekitError as error:
        raise click.UsageError(str(error)) from None
    if listed:
        for measurement in chosen:
            click.echo(f"{measurement.name:26} {when(measurement):12} {measurement.command}")
        return
    failures = [] if pages else [str(failure) for failure in map(attempt, chosen, [work] * len(chosen)) if failure]
    for page in PAGES:
        try:
            text = drawn(page, FIGURES)
        except CachekitError as error:
            failures.append(f"{page.relative_to(ROOT)} was left as it is: {error}")
            continue
        if text != page.read_text(encoding="utf-8"):
            page.write_text(text, encoding="utf-8")
            click.echo(f"drawn: {page.relative_to(ROOT)}")
    for failure in failures:
        click.echo(failure, err=True)
    sys.exit(1 if failures else 0)


def named(name: str) -> Measurement:
    """The measurement of this name, or the one behind the figure of this name."""
    if name in MEASUREMENTS:
        return MEASUREMENTS[name]
    if name in FIGURES:
        return FIGURES[name].measurement
    raise CachekitError(f"there is no figure {name!r}; there are {', '.join(MEASUREMENTS)}")


def attempt(measurement: Measurement, work: Path) -> CachekitError | None:
    click.echo(f"{measurement.name}: {measurement.command}")
    begun = time.monotonic()
    try:
        measurement.measure(work)
    except CachekitError as error:
        return error
    click.echo(f"{measurement.name}: measured in {time.monotonic() - begun:.0f} s")
    return None


def when(measurement: Measurement) -> str:
    return measurement.kept().date if measurement.file.exists() else "never"


if __name__ == "__main__":
    main()
