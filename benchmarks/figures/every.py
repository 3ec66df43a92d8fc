"""The figures there are, page by page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.figures.comparisons import (
    counts_table,
    frontier_table,
    keep_both,
    keep_rows,
    of,
    reference_table,
    rows_table,
    whole_table,
)
from benchmarks.figures.costs import (
    adherence_table,
    attaching_table,
    controlnet_table,
    dealing_table,
    evaluator_table,
    gramcache_cost_table,
    peers_table,
    sharing_cost_table,
    sharing_table,
    stages_table,
)
from benchmarks.figures.field import field_plot, field_table, keep_field
from benchmarks.figures.measuring import Kept, Measurement
from benchmarks.figures.pages import Figure
from benchmarks.figures.plots import frontier_plot
from benchmarks.figures.seen import models_table, pipelines_table

LPIPS = "--lpips-weights .venv/alexnet.safetensors"
HELD_OUT, OTHERS = "--prompts docs/held-out-prompts.txt", "--prompts docs/other-held-out-prompts.txt"
FIELD_PROMPTS = "--prompts docs/field-prompts.txt --seed 31 --previews 0"
FIELD = "--config configs/field.toml --previews 0"
AGAINST = (
    "--strategy gramcache:computed=12,10,8 --strategy magcache:thresh=0.24:K=3 --strategy magcache:thresh=0.36:K=5 "
    "--strategy magcache:thresh=0.8:K=6 --strategy magcache:thresh=1.0:K=8 --strategy teacache:thresh=0.179,0.23,0.335"
)
COUNTS = (12, 10, 8)


def compared(name: str, options: str, keep: Callable[[Any], Any] = keep_rows) -> Measurement:
    return Measurement(name, f"cachekit compare {options} {LPIPS}", keep, folder_option="--report", embedded=True)


MEASUREMENTS = {
    measurement.name: measurement
    for measurement in (
        compared(
            "results",
            f"{HELD_OUT} --strategy magcache:thresh=0.06,0.12,0.24 --strategy teacache:thresh=0.1,0.2,0.3 "
            "--strategy gramcache:computed=14,12,10,8 --strategy uniform:computed=8,10,12 --predictor reuse,damped",
        ),
        compared("gramcache", "--config configs/gramcache.toml"),
        compared("gramcache-other-prompts", f"{AGAINST} {OTHERS} --seed 5"),
        compared("gramcache-other-noise", f"{AGAINST} {HELD_OUT} --seed 1"),
        compared("gramcache-guidance-7", f"{AGAINST} {HELD_OUT} --guidance-scale 7"),
        compared(
            "gramcache-50-steps",
            f"{HELD_OUT} --steps 50 --strategy gramcache:computed=20,16,13 "
            "--strategy magcache:thresh=0.24,0.36,0.48:K=5 --strategy teacache:thresh=0.1,0.15,0.2",
        ),
        compared(
            "gramcache-parts",
            f"{HELD_OUT} --strategy gramcache:computed=12,10,8:pull=0,0.5,1000 "
            "--strategy gramcache:computed=12,10,8:retention_ratio=0 "
            "--strategy gramcache:computed=12,10,8:correction=0",
        ),
        compared("field-4", FIELD, keep_field),
        compared("field-7", f"{FIELD} --guidance-scale 7 --predictor own,damped,reuse", keep_field),
        compared(
            "field-predictors",
            "--strategy interval:n=3:first=3 --strategy interval:n=4:first=4 --strategy interval:n=5:first=3 "
            "--strategy interval:n=6:first=2 --predictor reuse,damped,taylor,taylorseer,hicache,foca,spectrum "
            f"{FIELD_PROMPTS} --baselines 12",
            keep_field,
        ),
        compared(
            "reference",
            f"{FIELD_PROMPTS} --reference-steps 120 --strategy gramcache:computed=12,8 --baselines 12,8",
            keep_both,
        ),
        compared(
            "better-solver",
            f"{FIELD_PROMPTS} --solver ab2 --spacing 2.5 --steps 20 --reference-steps 120 "
            "--strategy gramcache:computed=12,10,8 --baselines 12,10,8",
            keep_both,
        ),
        Measurement("attaching", "cachekit bench", lambda found: found),
        Measurement("peers", "python benchmarks/peers.py", lambda found: found, folder_option="--work"),
        Measurement("controlnet", "python benchmarks/controlnet.py", lambda found: found),
        Measurement("models", "python benchmarks/seen.py models", lambda found: found, folder_option="--work"),
        Measurement("pipelines", "python benchmarks/seen.py pipelines", lambda found: found, folder_option="--work"),
        Measurement("adherence", "python -m cachekit.opensora.mini.adherence", lambda found: found, embedded=True),
        Measurement("evaluator", "python benchmarks/evaluator.py", lambda found: found),
        Measurement("gramcache-cost", "python benchmarks/gramcache_cost.py", lambda found: found),
        Measurement("opensora-small", "python benchmarks/opensora_small.py", lambda found: found),
        Measurement("sharing", "python benchmarks/sharing.py --what bytes,kills", lambda found: found),
        Measurement("sharing-cost", "python benchmarks/sharing.py --what cost", lambda found: found),
        Measurement("dealing", "python benchmarks/dealing.py --workers 1,4,16 --settings 5", lambda found: found),
    )
}

RIVALS = (
    ("GramCache", of("gramcache")),
    ("MagCache, `reuse`", of("magcache", "reuse")),
    ("TeaCache, `reuse`", of("teacache", "reuse")),
    ("fewer steps, spaced well", lambda row: row["kind"] == "fewer steps, spaced well"),
    ("better solver, spaced well", lambda row: row["kind"] == "better solver"),
    ("fewer steps, even", lambda row: row["kind"] == "fewer steps"),
)


def rivals(name: str) -> Figure:
    return Figure(name, MEASUREMENTS[name], lambda kept: counts_table(kept, COUNTS, RIVALS))


def at_50_steps(kept: Kept) -> str:
    """All settings, since the thresholds of 30 steps come to other counts there, and the baseline that counts."""
    return rows_table(kept, lambda row: row["kind"] in ("setting", "fewer steps, spaced well"))


FIGURES = {
    figure.name: figure
    for figure in (
        Figure("results", MEASUREMENTS["results"], whole_table),
        Figure("frontier", MEASUREMENTS["results"], lambda kept: frontier_table(kept, COUNTS[0], RIVALS)),
        Figure("frontier-plot", MEASUREMENTS["results"], frontier_plot),
        Figure("gramcache", MEASUREMENTS["gramcache"], whole_table),
        rivals("gramcache-other-prompts"),
        rivals("gramcache-other-noise"),
        rivals("gramcache-guidance-7"),
        Figure("gramcache-50-steps", MEASUREMENTS["gramcache-50-steps"], at_50_steps),
        Figure("gramcache-parts", MEASUREMENTS["gramcache-parts"], whole_table),
        Figure("field-4", MEASUREMENTS["field-4"], field_table),
        Figure("field-7", MEASUREMENTS["field-7"], field_table),
        Figure("field-predictors", MEASUREMENTS["field-predictors"], field_table),
        Figure("reference", MEASUREMENTS["reference"], reference_table),
        Figure("better-solver", MEASUREMENTS["better-solver"], whole_table),
        Figure("better-solver-reference", MEASUREMENTS["better-solver"], reference_table),
        Figure("field-plot", MEASUREMENTS["field-4"], field_plot),
        Figure("attaching", MEASUREMENTS["attaching"], attaching_table),
        Figure("peers", MEASUREMENTS["peers"], peers_table),
        Figure("controlnet", MEASUREMENTS["controlnet"], controlnet_table),
        Figure("models", MEASUREMENTS["models"], models_table),
        Figure("pipelines", MEASUREMENTS["pipelines"], pipelines_table),
        Figure("adherence", MEASUREMENTS["adherence"], adherence_table),
        Figure("evaluator", MEASUREMENTS["evaluator"], evaluator_table),
        Figure("gramcache-cost", MEASUREMENTS["gramcache-cost"], gramcache_cost_table),
        Figure("opensora-small", MEASUREMENTS["opensora-small"], stages_table),
        Figure("sharing", MEASUREMENTS["sharing"], sharing_table),
        Figure("sharing-cost", MEASUREMENTS["sharing-cost"], sharing_cost_table),
        Figure("dealing", MEASUREMENTS["dealing"], dealing_table),
    )
}
