"""The field's tables and plot (docs/field.md): what each setting of configs/field.toml reached, and what it cost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.figures.comparisons import Row, keep_rows, mean_of
from benchmarks.figures.measuring import ROOT, Kept
from benchmarks.figures.pages import table
from cachekit.cli.choices import choose_cache, choose_model
from cachekit.registry.plugins import get_plugins

PLOT = ROOT / "docs" / "field.svg"
COUNTS = (12, 10, 8, 6)
STEPS = 30
BLOCKS = 12
"""Of the embedded model: a head of one costs a twelfth of a computed step on each skipped one."""


def partial(strategy: Any) -> float:
    """The share of a computed step that a skipped one costs."""
    return float(strategy.head + strategy.tail) / BLOCKS


def paid(computed: float, share: float) -> float:
    """Computed steps that a run costs, what skipped ones cost among them."""
    return computed + (STEPS - computed) * share


def keep_field(report: dict[str, Any]) -> dict[str, Any]:
    """A report's rows, each with what it cost; the uncached model left out."""
    kept = keep_rows(report)
    rows = [
        row | {"cost": cost_of(whole)}
        for row, whole in zip(kept["rows"], report["rows"], strict=True)
        if row["kind"] != "uncached" and row["quality"]
    ]
    return kept | {"rows": rows, "videos": max(row["videos"] for row in rows)}


def cost_of(row: dict[str, Any]) -> float:
    """Computed steps that a run of this row of a report cost, over its videos."""
    computed = float(np.mean([video["pattern"].count("X") for video in row["videos"] if video["pattern"]]))
    if row["kind"] != "setting":
        return computed
    plugins = get_plugins()
    chosen = choose_model("opensora-mini", plugins, {})
    cache = choose_cache(row["strategy"], row["given"], None, None, chosen, STEPS, plugins)
    assert cache is not None, row["label"]
    return paid(computed, partial(cache.strategy))


def near(row: Row) -> int:
    """The one of `COUNTS` that a row cost about as much as."""
    return min(COUNTS, key=lambda count: abs(row["cost"] - count))


def field_table(kept: Kept) -> str:
    """A row a setting: those of about as many computed steps together, the best first."""
    rows = sorted(kept.found["rows"], key=lambda row: (-near(row), -row["quality"]["psnr"]["mean"]))
    head = ["about", "setting", "computed", "PSNR (dB)", "5th percentile", "worst", "SSIM", "LPIPS"]
    return f"{kept.found['videos']} videos each.\n\n" + table(head, [line_of(row) for row in rows])


def line_of(row: Row) -> list[str]:
    quality = row["quality"]
    psnr = quality["psnr"]
    cells = [str(near(row)), row["label"], f"{row['cost']:.1f}", mean_of(psnr, "psnr")]
    cells += [f"{psnr[key]:.2f}" for key in ("percentile_5", "worst")]
    return cells + [mean_of(quality[name], name) if name in quality else "" for name in ("ssim", "lpips")]


STYLES: tuple[tuple[str, Callable[[Row], bool], str], ...] = (
    ("other strategies", lambda row: row["kind"] == "setting" and not row["label"].startswith("gramcache"), "."),
    ("fewer steps, even", lambda row: row["kind"] == "fewer steps", "s--"),
    ("fewer steps, spaced well", lambda row: row["kind"] == "fewer steps, spaced well", "s-"),
    ("DPM-Solver++, spaced well", lambda row: row["kind"] == "better solver" and row["label"].endswith("dpm2m"), "^-"),
    ("GramCache", lambda row: row["label"].startswith("gramcache") and "+ damped" in row["label"], "o-"),
)


def field_plot(kept: Kept) -> str:
    """Mean PSNR over what was paid, and the worst video's: GramCache, the other strategies and fewer steps."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context({"svg.hashsalt": "cachekit", "svg.fonttype": "none"}):
        figure = Figure(figsize=(9.5, 4.2), layout="constrained")
        for axes, key in zip(figure.subplots(1, 2, sharey=True), ("mean", "worst"), strict=True):
            for name, matches, style in STYLES:
                points = [(row["cost"], row["quality"]["psnr"][key]) for row in kept.found["rows"] if matches(row)]
                if points:
                    axes.plot(*zip(*sorted(points), strict=True), style, label=name)
            axes.set(xlabel="computed steps of 30, parts of skipped ones counted", title=f"{key} of the videos")
            axes.grid(alpha=0.25)
        figure.axes[0].set_ylabel("PSNR against the uncached video (dB)")
        figure.axes[0].legend(fontsize=8)
        figure.savefig(PLOT, metadata={"Date": None})
    return f"![PSNR over computed steps: mean and worst video, for each strategy]({PLOT.name})"
