"""`python -m tests.campaign [--lines 600] [--seed 0] [--folder DIR]`: run the lines, and say what they did."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path

import click

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]
from forked import preload  # noqa: E402

from tests.campaign.lines import Lines  # noqa: E402
from tests.campaign.material import prepare  # noqa: E402
from tests.campaign.running import Ran, run_line  # noqa: E402


@click.command()
@click.option("--lines", default=600, show_default=True)
@click.option("--seed", default=0, show_default=True)
@click.option("--folder", type=click.Path(path_type=Path), help="Where it works  [default: a temporary folder].")
@click.option("--only", type=int, help="Run this line alone, and show all that it printed.")
def campaign(lines: int, seed: int, folder: Path | None, only: int | None) -> None:
    """Run hostile command lines over all commands; exit status 1 where one of them had a fault."""
    place = folder or Path(tempfile.mkdtemp(prefix="cachekit-campaign-"))
    shutil.rmtree(place, ignore_errors=True)
    ran = run_lines(place, lines, seed, only)
    faulty = [(number, one) for number, one in ran.items() if one.faults]
    for number, one in faulty:
        click.echo(f"line {number}: {'; '.join(one.faults)}: cachekit {' '.join(ascii(w)[:80] for w in one.words)}")
        click.echo(ascii(one.err[-1500:]) if only is None else one.out + one.err)
    summary(ran)
    if folder is None:
        shutil.rmtree(place, ignore_errors=True)
    sys.exit(1 if faulty else 0)


def run_lines(place: Path, lines: int, seed: int, only: int | None = None) -> dict[int, Ran]:
    """Run them one after another under `place`; by number."""
    preload()
    guarded = place / "material"
    drawn = list(Lines(prepare(guarded), seed).draw(lines))
    found = {}
    for number, words in enumerate(drawn):
        if only in (None, number):
            found[number] = run_line(words, place / "lines" / str(number), guarded)
            shutil.rmtree(place / "lines" / str(number), ignore_errors=True)
    return found


def summary(ran: dict[int, Ran]) -> None:
    """The figures of the campaign."""
    commands = Counter(one.words[0] if one.words else "(none)" for one in ran.values())
    statuses = Counter(one.status for one in ran.values())
    faults = Counter(fault.partition(" /")[0] for one in ran.values() for fault in one.faults)
    slowest = max(ran.values(), key=lambda one: one.seconds)
    click.echo(f"{len(ran)} lines: {', '.join(f'{name} {count}' for name, count in commands.most_common(12))}")
    click.echo(f"exit statuses: {', '.join(f'{status}: {count}' for status, count in sorted(statuses.items()))}")
    for fault in ("traceback", "hang", "touched"):
        click.echo(f"{fault}: {sum(count for name, count in faults.items() if name.startswith(fault))}")
    click.echo(
        f"other faults: {sum(c for n, c in faults.items() if not n.startswith(('traceback', 'hang', 'touched')))}"
    )
    click.echo(f"slowest: {slowest.seconds:.1f} s: cachekit {' '.join(map(ascii, slowest.words))[:200]}")


if __name__ == "__main__":
    campaign()
