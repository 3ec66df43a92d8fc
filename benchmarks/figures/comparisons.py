"""Tables of comparisons: what is kept of a report's rows, and how they are shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import attrs
import numpy as np

from benchmarks.figures.measuring import Kept
from benchmarks.figures.pages import table

DIGITS = {"psnr": 2, "ssim": 4, "lpips": 4}
HEADS = {"psnr": "PSNR (dB)", "ssim": "SSIM", "lpips": "LPIPS"}
Row = dict[str, Any]


def keep_rows(report: dict[str, Any]) -> dict[str, Any]:
    """A report's `results.json` without its videos: each row's figures and the percentile that they tell."""
    rows = [
        {
            "label": row["label"],
            "kind": row["kind"],
            "frontier": row["frontier"],
            "computed": row["computed"],
            "ideal_speedup": row["ideal_speedup"],
            "speedup": row["speedup"],
            "videos": len(row["videos"]),
            "quality": {
                name: {key: figure[key] for key in ("mean", "worst", "low", "high")}
                | {"percentile_5": percentile(row["videos"], name)}
                for name, figure in row["quality"].items()
            },
        }
        for row in report["rows"]
    ]
    return {"main_metric": report["main_metric"], "rows": rows}


def keep_both(report: dict[str, Any]) -> dict[str, Any]:
    """The rows of a comparison, and under `reference` the same ones judged against its reference of more steps."""
    return keep_rows(report) | {"reference": keep_rows(report["reference"])}


def percentile(videos: Sequence[dict[str, Any]], metric: str) -> float:
    """The 5th of 100 from the bad end."""
    values = [video["quality"][metric] for video in videos if metric in video["quality"]]
    return float(np.percentile(values, 95 if metric == "lpips" else 5))


def whole_table(kept: Kept) -> str:
    """A row a setting: all that a report says."""
    return rows_table(kept, lambda row: True)


def reference_table(kept: Kept) -> str:
    """The same, judged against the reference of more steps."""
    return whole_table(attrs.evolve(kept, found=kept.found["reference"]))


def rows_table(kept: Kept, chosen: Callable[[Row], bool]) -> str:
    rows = [row for row in kept.found["rows"] if chosen(row)]
    metrics = [name for name in DIGITS if any(name in row["quality"] for row in kept.found["rows"])]
    head = ["", "setting", "computed", "ideal speedup", "measured speedup"]
    head += [HEADS[name] for name in metrics] + ["worst video (dB)", "5th percentile (dB)"]
    return table(head, [line_of(row, metrics) for row in rows])


def frontier_table(kept: Kept, count: int, ways: Sequence[tuple[str, Callable[[Row], bool]]]) -> str:
    """The frontier, and of each way the row nearest to `count` computed steps, the better one of two as near."""

    def farness(row: Row) -> tuple[float, float]:
        return abs(row["computed"] - count), -row["quality"]["psnr"]["mean"]

    judged = [row for row in kept.found["rows"] if row["quality"]]
    beside = [min(filter(matches, judged), key=farness, default=None) for _, matches in ways]
    return rows_table(kept, lambda row: row["frontier"] or row in beside)


def line_of(row: Row, metrics: Sequence[str]) -> list[str]:
    cells = ["*" if row["frontier"] else "", row["label"], f"{row['computed']:.3g}"]
    cells += [f"{row[key]:.2f}" if row[key] is not None else "" for key in ("ideal_speedup", "speedup")]
    quality = row["quality"]
    cells += [mean_of(quality[name], name) if name in quality else "" for name in metrics]
    return cells + [f"{quality['psnr'][key]:.2f}" if "psnr" in quality else "" for key in ("worst", "percentile_5")]


def mean_of(figure: dict[str, float], name: str) -> str:
    """`47.46 ± 1.20`: the mean, and half of its 95% interval for PSNR."""
    text = f"{figure['mean']:.{DIGITS[name]}f}"
    if name == "psnr" and figure["low"] is not None:
        text += f" ± {(figure['high'] - figure['low']) / 2:.2f}"
    return text


def best_of(rows: Sequence[Row], counts: Sequence[int], matches: Callable[[Row], bool]) -> list[str]:
    """For each number of computed steps, the best matching row within one of it: `mean / worst`, or nothing.

    A strategy that decides sample by sample computes no whole number; what it did is in brackets then.
    """
    cells = []
    for count in counts:
        fitting = [row for row in rows if matches(row) and abs(row["computed"] - count) < 1 and row["quality"]]
        best = max(fitting, key=lambda row: row["quality"]["psnr"]["mean"], default=None)
        cells.append(mean_and_worst(best, count) if best else "")
    return cells


def mean_and_worst(row: Row, count: int) -> str:
    """`47.46 / 38.10`, and the computed steps where they are not `count`: `47.46 / 38.10 (11.4)`."""
    quality = row["quality"]["psnr"]
    told = f"{quality['mean']:.2f} / {quality['worst']:.2f}"
    return told if row["computed"] == count else f"{told} ({row['computed']:.1f})"


def counts_table(kept: Kept, counts: Sequence[int], lines: Sequence[tuple[str, Callable[[Row], bool]]]) -> str:
    """Mean / worst PSNR in dB: a line a method, the best of its rows at each number of computed steps."""
    head = ["computed", *map(str, counts)]
    return table(head, [[name, *best_of(kept.found["rows"], counts, matches)] for name, matches in lines])


def of(strategy: str, predictor: str | None = None) -> Callable[[Row], bool]:
    """Rows of a strategy in the grid, with this predictor."""

    def matches(row: Row) -> bool:
        named = row["kind"] == "setting" and row["label"].split()[0] == strategy
        return named and (predictor is None or row["label"].endswith(f"+ {predictor}"))

    return matches
