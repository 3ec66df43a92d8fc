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
        figure = Figure(figsize=(9.5, 4.5), layout="constrained")
        axes = figure.subplots()
        colours = mpl.colormaps["tab20"].colors  # type: ignore[attr-defined]
        for number, (name, points) in enumerate(sorted(groups.items())):
            line = "o--" if name.startswith(("uncached", "uniform")) else "o-"
            axes.plot(*zip(*sorted(points), strict=True), line, label=name, color=colours[number % len(colours)])
        axes.set(xlabel="computed steps of 30", ylabel="PSNR against the uncached video (dB)")
        axes.grid(alpha=0.25)
        axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.01, 0.5))
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
