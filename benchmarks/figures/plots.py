"""Plots, drawn with matplotlib into files beside the page that shows them."""

from __future__ import annotations

from typing import Any

from benchmarks.figures.measuring import ROOT, Kept

FRONTIER = ROOT / "docs" / "frontier.svg"


def frontier_plot(kept: Kept) -> str:
    """Quality against computed steps: the caches and what the model reaches with fewer steps."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    groups: dict[str, list[tuple[float, float]]] = {}
    for row in kept.found["rows"]:
        if row["quality"]:
            groups.setdefault(group_of(row), []).append((row["computed"], row["quality"]["psnr"]["mean"]))
    with mpl.rc_context({"svg.hashsalt": "cachekit", "svg.fonttype": "none"}):
        figure = Figure(figsize=(7.5, 4.2), layout="constrained")
        axes = figure.subplots()
        for name, points in groups.items():
            baseline = name.startswith(("uncached", "uniform"))
            axes.plot(*zip(*sorted(points), strict=True), "o--" if baseline else "o-", label=name, alpha=0.85)
        axes.set(xlabel="computed steps of 30", ylabel="PSNR against the uncached video (dB)")
        axes.grid(alpha=0.25)
        axes.legend(fontsize=8, ncols=2)
        figure.savefig(FRONTIER, metadata={"Date": None})
    return f"![PSNR against computed steps, for each method]({FRONTIER.relative_to(ROOT)})"


def group_of(row: dict[str, Any]) -> str:
    """The line of the plot that a row is a point of."""
    if row["kind"] == "setting":
        words = row["label"].split()
        return f"{words[0]} + {words[-1]}"
    names = {"fewer steps": "uncached, even steps", "fewer steps, spaced well": "uncached, spaced well"}
    if row["kind"] == "better solver":
        return f"uncached, spaced, {row['label'].rpartition(' ')[2]}"
    return names.get(row["kind"], f"uniform + {row['label'].split()[-1]}")
