"""The field's table: settings found on calibration prompts, and docs/field.md's tables and plot from what they reached.

    python benchmarks/field.py settings                 # writes configs/field.toml
    cachekit compare --config configs/field.toml --report field-4/
    cachekit compare --config configs/field.toml --guidance-scale 7 --report field-7/
    python benchmarks/field.py page field-4/ field-7/   # writes docs/field.md and docs/field.svg

A setting is sought for about 12, 10, 8 and 6 computed steps of 30, blocks that run on every step counted as what they
cost: thresholds by bisection on the model's first calibration prompts, at guidance 4; plans by trying.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import click
import numpy as np

from cachekit.attaching.attach import resolve_strategy
from cachekit.cli.choices import ChosenModel, choose_cache, choose_model
from cachekit.errors import CachekitError
from cachekit.generation.generate import Cache, attach_cache
from cachekit.registry.plugins import get_plugins

ROOT = Path(__file__).parents[1]
CONFIG, PAGE, PLOT = ROOT / "configs" / "field.toml", ROOT / "docs" / "field.md", ROOT / "docs" / "field.svg"
COUNTS = (12, 10, 8, 6)
STEPS = 30
BLOCKS = 12
"""Of the embedded model: a head of one costs a twelfth of a computed step on each skipped one."""
NEAR = 0.25
"""How near to a count a threshold must come to be done with, in computed steps."""

THRESHOLDS: dict[str, tuple[str, float, float]] = {
    "teacache": ("thresh", 0.02, 3.0),
    "seacache:first=1": ("thresh", 0.01, 3.0),
    "seacache:first=4:force_last=False": ("thresh", 0.01, 3.0),
    "fbcache": ("thresh", 0.005, 2.0),
    "dbcache:head=2:warm_up=4": ("thresh", 0.005, 2.0),
    "dicache:retention_ratio=0.1": ("thresh", 0.005, 3.0),
    "easycache:first=4": ("thresh", 0.005, 3.0),
    "sencache:thresh_first=0.02": ("thresh", 0.005, 3.0),
    "adacache:inner=9": ("scale", 0.05, 50.0),
    "speca": ("base", 0.01, 200.0),
}
"""Of each strategy that decides: the field that says how far it may go, and between what."""


def planned(count: int) -> Iterator[tuple[str, str | None]]:
    """Specs to try in turn for each strategy that plans, and a predictor of its own beside those of the table."""
    for name in ("gramcache", "dpcache", "lemica", "budcache", "l2p", "meancache"):
        yield f"{name}:computed={count}", name
    for interval in range(1, 8):
        yield f"cem:computed={count}:interval={interval}", "cem"
    for longest in (3, 5, 6, 8, 10):
        for thresh in np.geomspace(0.05, 3.0, 40):
            yield f"magcache:thresh={thresh:.3g}:K={longest}", "magcache"
    for distance in range(1, 10):
        for first in (3, 4, 2, 5):
            yield f"interval:n={distance}:first={first}", "interval"


@attrs.define
class Seeker:
    """Finds settings on calibration prompts."""

    chosen: ChosenModel
    weights: str | None
    prompts: int
    _pipeline: Any = None

    def cache(self, spec: str) -> Cache | None:
        return choose_cache(spec, {}, None, None, self.chosen, STEPS, get_plugins())

    def cost(self, spec: str) -> float:
        """Computed steps of a run, the mean over calibration prompts, the head and tail of skipped ones among them."""
        cache = self.cache(spec)
        assert cache is not None
        model = self.chosen.model
        if self._pipeline is None:
            self._pipeline = model.load(device="cpu", dtype=None)
        counts = []
        for prompt in model.calibration_prompts[: self.prompts]:
            text = self._pipeline.encode_text(prompt)
            with attach_cache(self._pipeline, cache, STEPS) as session:
                self._pipeline.denoise(text, seed=0, steps=STEPS, guidance_scale=model.guidance_scale)
            counts.append(session.trace.computed)
        return paid(float(np.mean(counts)), partial(cache.strategy))

    def threshold(self, spec: str, field: str, low: float, high: float, seen: dict[float, float], count: int) -> float:
        """The value at which the cost is nearest to `count`; `seen` keeps what was tried."""
        for _ in range(7):
            middle = math.sqrt(low * high)
            value = float(f"{middle:.3g}")
            if value not in seen:
                seen[value] = self.cost(f"{spec}:{field}={value}")
            if abs(seen[value] - count) <= NEAR:
                break
            low, high = (value, high) if seen[value] > count else (low, value)
        return min(seen, key=lambda value: abs(seen[value] - count))


def partial(strategy: Any) -> float:
    """The share of a computed step that a skipped one costs."""
    return (strategy.head + strategy.tail) / BLOCKS


def paid(computed: float, share: float) -> float:
    return computed + (STEPS - computed) * share


@click.group()
def main() -> None:
    """The field's settings and its page."""


@main.command()
@click.option("--weights", help="Weights of the embedded model in place of the shipped.")
@click.option("--prompts", default=4, show_default=True, help="Calibration prompts to seek thresholds on.")
@click.option("--only", help="Strategies, separated by commas; the others are left out.")
@click.option("--out", type=click.Path(path_type=Path), default=CONFIG, show_default=True)
def settings(weights: str | None, prompts: int, only: str | None, out: Path) -> None:
    """Find the settings and write the config."""
    chosen = choose_model("opensora-mini", get_plugins(), {"weights": weights})
    seeker, wanted, lines = Seeker(chosen, weights, prompts), set(only.split(",")) if only else None, []
    for count in COUNTS:
        done: set[str] = set()
        for spec, name in planned(count):
            if name in done or (wanted and name not in wanted):
                continue
            try:
                cache = seeker.cache(spec)
            except CachekitError as error:
                click.echo(f"{spec}: {error}")
                continue
            assert cache is not None
            plan = cache.plan(STEPS, chosen.model.timesteps(STEPS))
            if plan is not None and plan.count("X") == count:
                done.add(str(name))
                lines.append((spec, float(count)))
    for spec, (field, low, high) in THRESHOLDS.items():
        if wanted and spec.partition(":")[0] not in wanted:
            continue
        seen: dict[float, float] = {}
        for count in COUNTS:
            try:
                value = seeker.threshold(spec, field, low, high, seen, count)
            except CachekitError as error:
                click.echo(f"{spec}: {error}")
                break
            lines.append((f"{spec}:{field}={value:g}", seen[value]))
            click.echo(f"{spec}:{field}={value:g} costs {seen[value]:.2f}")
    order = sorted(dict.fromkeys(lines), key=lambda line: (line[0].partition(":")[0], -line[1]))
    rows = "".join(f'    "{spec}",  # {cost:.1f}\n' for spec, cost in order)
    out.write_text(HEAD + f"strategy = [\n{rows}]\n", encoding="utf-8")


HEAD = """# The field's strategies on the embedded model, at about 12, 10, 8 and 6 computed steps of 30 (docs/field.md):
#   cachekit compare --config configs/field.toml --report field-4/
#   cachekit compare --config configs/field.toml --guidance-scale 7 --report field-7/
# Each with its own predictor and with `damped`. Written by `python benchmarks/field.py settings`, which found the
# thresholds on calibration prompts at guidance 4; behind each setting stands what it cost there, in computed steps.

model = "opensora-mini"
prompts = "docs/field-prompts.txt"
steps = 30
seed = 31
guidance-scale = 4.0
predictor = ["own", "damped"]
baselines = "12,10,8,6"
"""


def figures(row: dict[str, Any], metric: str) -> list[float]:
    return [video["quality"][metric] for video in row["videos"] if metric in video["quality"]]


def cost_of(row: dict[str, Any]) -> float:
    """Computed steps that a run of this row cost."""
    patterns = [video["pattern"] for video in row["videos"] if video["pattern"]]
    computed = float(np.mean([pattern.count("X") for pattern in patterns]))
    if row["kind"] != "setting":
        return computed
    params: dict[str, Any] = dict(row["given"])
    model = choose_model("opensora-mini", get_plugins(), {}).model
    strategy = resolve_strategy(
        row["strategy"], params, get_plugins(), model.transformer_class, model.architecture(), steps=STEPS
    )
    return paid(computed, partial(strategy))


@attrs.frozen
class Line:
    """A row of the page's table."""

    kind: str
    label: str
    cost: float
    psnr: tuple[float, float, float]
    """Mean, 5th percentile and worst."""
    interval: tuple[float, float]
    ssim: float
    lpips: float | None


def lines_of(report: Path) -> list[Line]:
    content = json.loads((report / "results.json").read_text(encoding="utf-8"))
    lines = []
    for row in content["rows"]:
        values = figures(row, "psnr")
        if row["kind"] == "uncached" or not values:
            continue
        lpips = figures(row, "lpips")
        figure = row["quality"]["psnr"]
        lines.append(
            Line(
                kind=row["kind"],
                label=row["label"],
                cost=cost_of(row),
                psnr=(float(np.mean(values)), float(np.percentile(values, 5)), min(values)),
                interval=(figure["low"], figure["high"]),
                ssim=float(np.mean(figures(row, "ssim"))),
                lpips=float(np.mean(lpips)) if lpips else None,
            )
        )
    return sorted(lines, key=lambda line: (-round(line.cost / 2), -line.psnr[0]))


def table(lines: list[Line]) -> str:
    rows = [
        "| setting | computed | PSNR (dB), 95% | 5th percentile | worst | SSIM | LPIPS |",
        "|---|---|---|---|---|---|---|",
    ]
    for line in lines:
        low, high = line.interval
        spread = f" ({low:.1f} to {high:.1f})" if low is not None else ""
        rows.append(
            f"| {line.label} | {line.cost:.1f} | {line.psnr[0]:.2f}{spread} | {line.psnr[1]:.2f} | {line.psnr[2]:.2f} "
            f"| {line.ssim:.4f} | {'' if line.lpips is None else format(line.lpips, '.4f')} |"
        )
    return "\n".join(rows)


def between(text: str, name: str, made: str) -> str:
    """The page with what is between the markers of that name made anew."""
    marker = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end of {name} -->)", re.DOTALL)
    if not marker.search(text):
        raise click.ClickException(f"docs/field.md has no markers for {name}")
    return marker.sub(lambda found: found[1] + made + "\n" + found[2], text)


def plot(reports: dict[str, list[Line]]) -> None:
    """PSNR over computed steps, a panel a guidance: GramCache, the others, and the baselines."""
    import matplotlib

    matplotlib.use("svg")
    import matplotlib.pyplot as plt

    styles: list[tuple[str, Callable[[Line], bool], dict[str, Any]]] = [
        ("other strategies", lambda line: line.kind == "setting", {"color": "0.6", "marker": ".", "ls": ""}),
        ("fewer steps", lambda line: line.kind == "fewer steps", {"color": "tab:red", "marker": "s"}),
        (
            "fewer steps, spaced well",
            lambda line: line.kind == "fewer steps, spaced well",
            {"color": "tab:orange", "marker": "s"},
        ),
        ("GramCache", lambda line: line.label.startswith("gramcache"), {"color": "tab:blue", "marker": "o"}),
    ]
    figure, panels = plt.subplots(1, len(reports), figsize=(5 * len(reports), 4), sharey=True, squeeze=False)
    for panel, (title, lines) in zip(panels[0], reports.items(), strict=True):
        for label, wanted, style in styles:
            chosen = sorted((line.cost, line.psnr[0]) for line in lines if wanted(line))
            panel.plot(*zip(*chosen, strict=True), label=label, **style) if chosen else None
        panel.set(title=title, xlabel="computed steps of 30")
    panels[0][0].set_ylabel("PSNR (dB)")
    panels[0][0].legend()
    figure.tight_layout()
    figure.savefig(PLOT, metadata={"Date": None})


@main.command()
@click.argument("reports", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
def page(reports: tuple[Path, ...]) -> None:
    """Write the tables and the plot from the reports' results."""
    text, found = PAGE.read_text(encoding="utf-8"), {}
    for report in reports:
        about = json.loads((report / "results.json").read_text(encoding="utf-8"))["about"]
        name = f"guidance {about['guidance_scale']:g}"
        found[name] = lines_of(report)
        counted = f"{len(about['prompts'])} videos each.\n\n"
        text = between(text, name, counted + table(found[name]))
    PAGE.write_text(between(text, "plot", f"![PSNR over computed steps]({PLOT.name})"), encoding="utf-8")
    plot(found)


if __name__ == "__main__":
    main()
