"""Writes the tables of docs/diffusers.md: `python tests/diffusers/table.py`, or of it `table` or `pipelines` alone."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent))

from zoo.checks import Seen, look_at_model, look_at_pipeline
from zoo.models import MODELS
from zoo.pipelines import PIPELINES

from cachekit.diffusers.families import FAMILIES

PAGE = Path(__file__).parents[2] / "docs" / "diffusers.md"
SAID = {True: "bit-equal", False: "differs"}


def cells(seen: Seen) -> list[str]:
    planned = "" if seen.as_planned else " (not as planned)"
    return [
        SAID[seen.watched],
        f"{seen.oracle:.0e}",
        ", ".join(f"`{pattern}`" for pattern in seen.patterns.values()) + planned,
        "bit-equal" if seen.detached else "differs",
    ]


def table(*rows: list[str]) -> str:
    head, *others = rows
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *others))


def models() -> str:
    """A row a model: its class, why it has a line of its own, and what was seen."""
    rows = [["class (as made small)", "line of its own", "watched", "oracle", "uniform, magcache", "detached"]]
    for name, entry in MODELS.items():
        line = FAMILIES[entry.name].why if entry.name in FAMILIES else "none"
        rows.append([f"{entry.name} ({name})", line, *cells(look_at_model(entry))])
    return table(*rows)


def pipelines() -> str:
    """A row a pipeline: its class, its transformers and whether they have a line of their own, and what was seen."""
    titles = ["watched", "oracle", "uniform, magcache", "run again", "disabled"]
    rows = [["pipeline (as made small)", "transformer", "line of its own", *titles]]
    for name, entry in PIPELINES.items():
        pipe = entry.make()
        kinds = [type(getattr(pipe, part)).__name__ for part in entry.transformers]
        seen = look_at_pipeline(entry)
        *first, last = cells(seen)
        rows.append(
            [
                f"{type(pipe).__name__} ({name})",
                f"{kinds[0]}, {len(kinds)} of it" if len(kinds) > 1 else kinds[0],
                "yes" if kinds[0] in FAMILIES else "none",
                *first,
                SAID[seen.clean],
                last,
            ]
        )
    return table(*rows)


def put(text: str, name: str, made: str) -> str:
    """The page with what stands between the two marks of this name replaced."""
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    before, rest = text.split(begin)
    return f"{before}{begin}\n{made}\n{end}{rest.split(end)[1]}"


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    asked = sys.argv[1:] or ["table", "pipelines"]
    with torch.no_grad(), torch.compiler.set_stance("force_eager"):
        for name in asked:
            made = {"table": models, "pipelines": pipelines}[name]()
            PAGE.write_text(put(PAGE.read_text(encoding="utf-8"), name, made), encoding="utf-8")
