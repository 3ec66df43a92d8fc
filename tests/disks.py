"""`python -m tests.disks`: each command on a disk that fills up at fourteen sizes.

What was there before must stay whole, the command must end with one sentence, and with room it must go on.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]

from forked import Forked, preload, start  # noqa: E402
from kills import videos  # noqa: E402
from tiny_model import CIRCLE, SQUARE, write_model  # noqa: E402

SIZES = (0, 1, 2, 4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 256)
"""KiB that the disk has left."""
DISK = 32768
"""KiB of the disk."""
PATIENCE = 600.0


def commands(weights: Path) -> dict[str, tuple[list[str], list[str]]]:
    """By name, a line that leaves old results and one that adds to them."""
    model = ["--weights", str(weights), "--steps", "4"]
    one, two = ["--prompt", CIRCLE], ["--prompt", CIRCLE, "--prompt", SQUARE, "--videos-per-prompt", "3"]
    run = ["run", *model, "--strategy", "none", "--out", "made", "--json", "run.json"]
    compare = ["compare", *model, "--strategy", "uniform:computed=2", "--predictor", "reuse", "--metrics", "psnr",
               "--report", "made", "--json", "compare.json"]  # fmt: skip
    calibrate = ["calibrate", "magcache", *model, "--out", "made.json", "--json", "calibrate.json"]
    tune = ["tune", "uniform", "--min-psnr", "1", "--search", "computed=2,3", "--predictor", "reuse", *model, *one,
            "--folder", "made", "--json", "tune.json"]  # fmt: skip
    evaluate = [
        "eval",
        "--gt",
        "made",
        "--gen",
        "made",
        "--metrics",
        "psnr",
        "--json",
        "eval.json",
        "--csv",
        "eval.csv",
    ]
    return {
        "run": ([*run, *one], [*run, *two]),
        "compare": ([*compare, *one], [*compare, *two]),
        "calibrate": ([*calibrate, *one], [*calibrate, *two]),
        "tune": ([*tune, "--trials", "1"], [*tune, "--trials", "3"]),
        "eval": (evaluate, evaluate),
        "plan": (
            ["plan", "magcache", "--json", "plan.json"],
            ["plan", "magcache", "--steps", "300", "--json", "plan.json"],
        ),
        "strategies": (["strategies", "--json", "list.json"], ["strategies", "--json", "list.json"]),
    }


@contextmanager
def disk(place: Path) -> Iterator[Path]:
    """A small file system of its own; raises OSError where none may be mounted."""
    place.mkdir(parents=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK}k", "tmpfs", str(place)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        raise OSError(mounted.stderr)
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def fill(folder: Path, left: int) -> None:
    """Take all room of the disk but so many KiB."""
    there = os.statvfs(folder)
    with (folder / "filler").open("wb") as file:
        file.write(b"\0" * max(0, there.f_bavail * there.f_frsize - left * 1024))


def whole(folder: Path) -> dict[str, object]:
    """The old results, each read and found whole."""
    found: dict[str, object] = dict(videos(folder))
    for path in sorted(folder.rglob("*.json")):
        found[str(path.relative_to(folder))] = json.loads(path.read_text())
    for path in (*folder.rglob("*.csv"), *folder.rglob("*.html")):
        assert path.read_text().endswith(("\n", ">")), path
    return found


def fill_up(name: str, left: int, place: Path, weights: Path) -> list[str]:
    """Run one command on a disk with so much left; what was wrong."""
    first, second = commands(weights)[name]
    with disk(place) as folder:
        for line in [commands(weights)["run"][0]] * (name == "eval") + [first]:
            assert run(line, folder, place).status in (0, 1)
        before = whole(folder)
        fill(folder, left)
        command = run(second, folder, place)
        said = [line for line in command.err.splitlines() if line.startswith("cachekit: ") and "warning" not in line]
        faults = []
        if command.status not in (0, 1) or "Traceback" in command.err:
            faults.append(f"status {command.status}: {command.err[-800:]}")
        if command.status == 1 and "No space left on device" in command.err and len(said) != 1:
            faults.append(f"{len(said)} sentences: {command.err[-800:]}")
        try:
            after = whole(folder)
            faults += [f"lost {key}" for key in before if key not in after]
            faults += [
                f"changed {key}" for key in before if key.endswith((".mkv", ".mp4")) and after.get(key) != before[key]
            ]
        except (ValueError, AssertionError) as error:
            faults.append(f"torn: {error}")
        (folder / "filler").unlink()
        again = run(second, folder, place)
        if again.status not in (0, 1) or "can't be written" in again.err or "damaged" in again.err:
            faults.append(f"with room: status {again.status}: {again.err[-800:]}")
        return faults


def run(line: list[str], folder: Path, place: Path) -> Forked:
    command = start(line, folder, place.with_name(f"{place.name}-printed"))
    command.wait(PATIENCE)
    return command


@click.command()
@click.option("--only", metavar="COMMAND")
def disks(only: str | None) -> None:
    """Fill disks up, and say what was lost; exit status 1 where anything was."""
    preload()
    place = Path(tempfile.mkdtemp(prefix="cachekit-disks-"))
    weights = write_model(place / "tiny.safetensors")
    lost = 0
    for name in commands(weights):
        if only in (None, name):
            faults = {size: fill_up(name, size, place / f"{name}-{size}", weights) for size in SIZES}
            faulty = {size: what for size, what in faults.items() if what}
            lost += len(faulty)
            click.echo(f"{name}: {len(SIZES)} sizes, {len(faulty)} faulty")
            for size, what in faulty.items():
                click.echo(f"  {size} KiB left: {what}")
    shutil.rmtree(place, ignore_errors=True)
    sys.exit(1 if lost else 0)


if __name__ == "__main__":
    disks()
