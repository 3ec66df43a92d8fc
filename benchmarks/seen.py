"""What is seen of every transformer class and pipeline of diffusers made small: `python benchmarks/seen.py models`.

`models` or `pipelines`, each by the checks of `tests/diffusers/zoo/checks.py`, with random weights. With `--work DIR`
the same command goes on where it was stopped. Needs `pip install 'cachekit-dit[diffusers]'`.
"""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import attrs
import click
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "diffusers"))

from zoo.checks import look_at_model, look_at_pipeline
from zoo.models import MODELS
from zoo.pipelines import PIPELINES

from benchmarks.going_on import gone_on
from cachekit.diffusers.families import FAMILIES

Row = dict[str, Any]


def model(name: str) -> Row:
    """A class: why it has a line of its own, and what was seen."""
    entry = MODELS[name]
    line = FAMILIES[entry.name].why if entry.name in FAMILIES else None
    return {"kind": entry.name, "line": line, **attrs.asdict(look_at_model(entry))}


def pipeline(name: str) -> Row:
    """A pipeline: its class, its transformers' class and whether that has a line of its own, and what was seen."""
    entry = PIPELINES[name]
    pipe = entry.make()
    kinds = [type(getattr(pipe, part)).__name__ for part in entry.transformers]
    return {
        "kind": type(pipe).__name__,
        "transformer": kinds[0],
        "transformers": len(kinds),
        "line": FAMILIES[kinds[0]].why if kinds[0] in FAMILIES else None,
        **attrs.asdict(look_at_pipeline(entry)),
    }


LOOKS: dict[str, tuple[Sequence[str], Callable[[str], Row]]] = {
    "models": (list(MODELS), model),
    "pipelines": (list(PIPELINES), pipeline),
}


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
    with torch.no_grad(), torch.compiler.set_stance("force_eager"):
        found = gone_on(only or names, look, work, json_file)
    if json_file is None:
        click.echo(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
