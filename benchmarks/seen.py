"""What is seen of every transformer class and pipeline of diffusers made small: `python benchmarks/seen.py models`.

`models` or `pipelines`, each by the checks of `tests/diffusers/zoo/checks.py`, with random weights. With `--work DIR`
each is kept there as soon as it was looked at, and the same command goes on where it was stopped; at its end they are
one file, `--json FILE`, and are removed from there. Needs `pip install 'cachekit-dit[diffusers]'`.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import click
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "diffusers"))

from zoo.checks import look_at_model, look_at_pipeline
from zoo.models import MODELS
from zoo.pipelines import PIPELINES

from cachekit.diffusers.families import FAMILIES
from cachekit.files.writing import write_whole

Row = dict[str, Any]


def model(name: str) -> Row:
    """A class: why it has a line of its own, and what was seen."""
    entry = MODELS[name]
    line = FAMILIES[entry.name].why if entry.name in FAMILIES else None
    return {"name": name, "kind": entry.name, "line": line, **attrs.asdict(look_at_model(entry))}


def pipeline(name: str) -> Row:
    """A pipeline: its class, its transformers' class and whether that has a line of its own, and what was seen."""
    entry = PIPELINES[name]
    pipe = entry.make()
    kinds = [type(getattr(pipe, part)).__name__ for part in entry.transformers]
    return {
        "name": name,
        "kind": type(pipe).__name__,
        "transformer": kinds[0],
        "transformers": len(kinds),
        "line": FAMILIES[kinds[0]].why if kinds[0] in FAMILIES else None,
        **attrs.asdict(look_at_pipeline(entry)),
    }


LOOKS: dict[str, tuple[list[str], Callable[[str], Row]]] = {
    "models": (list(MODELS), model),
    "pipelines": (list(PIPELINES), pipeline),
}


def looked(name: str, look: Callable[[str], Row], work: Path | None) -> Row:
    """What is seen of one, or what was kept of an earlier look."""
    file = work / f"{name}.json" if work else None
    if file is not None and file.exists():
        return json.loads(file.read_text(encoding="utf-8"))
    began = time.monotonic()
    row = look(name)
    click.echo(f"{name}: {time.monotonic() - began:.1f} s")
    if file is not None:
        write_whole(file, json.dumps(row) + "\n", "what was seen")
    return row


@click.command()
@click.argument("what", type=click.Choice(list(LOOKS)))
@click.option("--only", multiple=True, help="One of them by its name (repeatable; default: all).")
@click.option("--work", type=click.Path(path_type=Path, file_okay=False), help="Keep each there as it is seen.")
@click.option("--json", "json_file", type=click.Path(path_type=Path, dir_okay=False), help="Write all to FILE.")
def main(what: str, only: tuple[str, ...], work: Path | None, json_file: Path | None) -> None:
    """Look at every transformer class (`models`) or pipeline (`pipelines`) of the zoo."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    names, look = LOOKS[what]
    if work is not None:
        work.mkdir(parents=True, exist_ok=True)
    with torch.no_grad(), torch.compiler.set_stance("force_eager"):
        rows = [looked(name, look, work) for name in only or names]
    if json_file is None:
        click.echo(json.dumps(rows, indent=1))
        return
    json_file.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    if work is not None:
        for name in only or names:
            (work / f"{name}.json").unlink()
        work.rmdir()


if __name__ == "__main__":
    main()
