"""Writes the table of docs/diffusers.md from what is seen of every model: `python tests/diffusers/table.py`."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent))

from zoo.checks import look_at_model
from zoo.models import MODELS

from cachekit.diffusers.families import FAMILIES

PAGE = Path(__file__).parents[2] / "docs" / "diffusers.md"
BEGIN, END = "<!-- table -->", "<!-- end of table -->"


def rows() -> list[str]:
    """A row a model: its class, why it has a line of its own, and what was seen."""
    lines = ["| class (as made small) | line of its own | watched | oracle | uniform, magcache | detached |"]
    lines.append("|---|---|---|---|---|---|")
    for name, entry in MODELS.items():
        seen = look_at_model(entry)
        line = FAMILIES[entry.name].why if entry.name in FAMILIES else "none"
        planned = "" if seen.as_planned else " (not as planned)"
        said = {True: "bit-equal", False: "differs"}
        cells = (
            f"{entry.name} ({name})",
            line,
            said[seen.watched],
            f"{seen.oracle:.0e}",
            ", ".join(f"`{pattern}`" for pattern in seen.patterns.values()) + planned,
            said[seen.detached],
        )
        lines.append(f"| {' | '.join(cells)} |")
    return lines


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    text = PAGE.read_text(encoding="utf-8")
    with torch.no_grad(), torch.compiler.set_stance("force_eager"):
        table = "\n".join(rows())
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    PAGE.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}", encoding="utf-8")
