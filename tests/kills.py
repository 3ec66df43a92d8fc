"""`python -m tests.kills`: kill -9 at random moments of run, compare and tune, half of them with a second beside.

What was finished before a kill must stay, and the same command again must end in what it would have been without one.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import attrs
import click

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]

from forked import preload, start  # noqa: E402
from tiny_model import CIRCLE, SQUARE, write_model  # noqa: E402

PATIENCE = 600.0
COUNTS = {"run": 40, "compare": 10, "tune": 10}


@attrs.frozen
class Command:
    """A command that can be gone on with, and what its result is but for times."""

    words: Callable[[Path], list[str]]
    """Of the model's weights; it works in the folder `made`."""
    result: Callable[[Path], Any]


def run_words(weights: Path) -> list[str]:
    prompts = [word for prompt in (CIRCLE, SQUARE) for word in ("--prompt", prompt)]
    return ["run", "--weights", str(weights), "--strategy", "uniform", "--set", "computed=3", "--steps", "6", *prompts,
            "--videos-per-prompt", "3", "--out", "made", "--json", "made.json"]  # fmt: skip


def compare_words(weights: Path) -> list[str]:
    return ["compare", "--weights", str(weights), "--strategy", "uniform:computed=2,3", "--predictor", "reuse",
            "--steps", "5", "--prompt", CIRCLE, "--prompt", SQUARE, "--metrics", "psnr",
            "--report", "made"]  # fmt: skip


def tune_words(weights: Path) -> list[str]:
    return ["tune", "uniform", "--min-psnr", "1", "--search", "computed=2,3,4,5", "--predictor", "reuse,taylor",
            "--trials", "6", "--steps", "6", "--weights", str(weights), "--prompt", CIRCLE, "--prompt", SQUARE,
            "--folder", "made"]  # fmt: skip


def videos(folder: Path) -> dict[str, tuple[str, str]]:
    """The videos that manifests record, by path: checksum and pattern. Each is there, whole, and recorded once."""
    found = {}
    for manifest in sorted(folder.rglob("manifest.jsonl")):
        for line in manifest.read_bytes().split(b"\n")[:-1]:
            entry = json.loads(line)
            path = manifest.parent / entry["file"]
            assert hashlib.sha256(path.read_bytes()).hexdigest() == entry["sha256"], path
            found[str(path.relative_to(folder))] = (entry["sha256"], entry["pattern"])
    return found


def of_run(folder: Path) -> Any:
    listed = json.loads((folder.parent / "made.json").read_text())["videos"]
    return videos(folder), [{key: v[key] for key in ("file", "sha256", "pattern")} for v in listed]


def of_compare(folder: Path) -> Any:
    rows = json.loads((folder / "results.json").read_text())["rows"]
    judged = [(row["label"], row["quality"], [video["quality"] for video in row["videos"]]) for row in rows]
    previews = {path.name: path.read_bytes() for path in (folder / "previews").rglob("*.mp4")}
    return videos(folder), sorted(judged, key=str), previews


def of_tune(folder: Path) -> Any:
    lines = (folder / "settings.toml").read_text().splitlines()
    return videos(folder), [line for line in lines if not line.startswith("#")]


COMMANDS = {
    "run": Command(run_words, of_run),
    "compare": Command(compare_words, of_compare),
    "tune": Command(tune_words, of_tune),
}


@click.command()
@click.option("--seed", default=0, show_default=True)
@click.option("--only", type=click.Choice(list(COUNTS)))
def kills(seed: int, only: str | None) -> None:
    """Kill commands, and say what was lost; exit status 1 where anything was."""
    place = Path(tempfile.mkdtemp(prefix="cachekit-kills-"))
    weights = write_model(place / "tiny.safetensors")
    lost = 0
    for name, count in COUNTS.items():
        if only in (None, name):
            faults = kill_often(name, count, place / name, weights, seed)
            lost += len(faults)
            click.echo(f"{name}: {count} kills, {len(faults)} faults" + "".join(f"\n  {fault}" for fault in faults))
    shutil.rmtree(place, ignore_errors=True)
    sys.exit(1 if lost else 0)


def kill_often(name: str, count: int, place: Path, weights: Path, seed: int) -> list[str]:
    """Kill a command at `count` moments, each in a folder of its own; what was wrong."""
    preload()
    command, random = COMMANDS[name], Random(seed)
    words = command.words(weights)
    (place / "whole").mkdir(parents=True)
    begun = time.monotonic()
    whole = start(words, place / "whole", place / "whole-printed")
    assert whole.wait(PATIENCE) == 0, whole.err
    seconds = time.monotonic() - begun
    wanted = command.result(place / "whole" / "made")
    faults = []
    for number in range(count):
        folder = place / str(number)
        folder.mkdir()
        try:
            kill_once(command, words, folder, random.uniform(0, seconds), beside=number % 2 == 1, wanted=wanted)
        except (AssertionError, OSError, ValueError, KeyError) as error:
            faults.append(f"kill {number}: {type(error).__name__}: {str(error)[:500]}")
        shutil.rmtree(folder)
    return faults


def kill_once(command: Command, words: list[str], folder: Path, moment: float, *, beside: bool, wanted: Any) -> None:
    """Start, kill, look at what is there, and go on; AssertionError where something is not as it must be."""
    made = folder / "made"
    first = start(words, folder, folder / "first")
    second = start(words, folder, folder / "second") if beside else None
    first.wait(moment)
    first.kill()
    finished = videos(made) if made.exists() and second is None else {}
    if second is not None:
        status = second.wait(PATIENCE)
        assert status in (0, 1, 2), second.err
        assert status != 2 or "is at work in the folder" in second.err, second.err
    again = start(words, folder, folder / "again")
    assert again.wait(PATIENCE) == 0, again.err
    assert "Traceback" not in again.err
    there = videos(made)
    assert finished.items() <= there.items(), "a finished video was lost"
    assert command.result(made) == wanted, "the resumed result is another"
    left = [path.name for path in made.rglob(".*") if not path.name.endswith(".lock")]
    assert not left, f"leftovers {left}"


if __name__ == "__main__":
    kills()
