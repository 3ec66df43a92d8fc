"""The field's settings, found on calibration prompts: `python -m benchmarks.field` writes configs/field.toml.

    python -m benchmarks.field
    python -m benchmarks.figures field-4 field-7        # docs/field.md

A setting is sought for about 12, 10, 8 and 6 computed steps of 30, blocks that run on every step counted as what they
cost: thresholds by bisection on the model's first calibration prompts, at guidance 4; plans by trying.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from functools import cached_property
from pathlib import Path
from typing import Any

import attrs
import click
import numpy as np
import torch

from benchmarks.figures.field import COUNTS, STEPS, paid, partial
from benchmarks.figures.measuring import ROOT
from cachekit.cli.choices import ChosenModel, choose_cache, choose_model
from cachekit.errors import CachekitError
from cachekit.generation.generate import Cache, attach_cache
from cachekit.registry.plugins import get_plugins

CONFIG = ROOT / "configs" / "field.toml"
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


CEM = tuple(itertools.product(("none", "linear", "quadratic"), (True, False), range(1, 8)))
"""CEM's weights, whether its errors add up, and its intervals: published both for FLUX (they do) and for Wan (they
don't). The best plan on calibration prompts is taken."""


def planned(count: int) -> Iterator[tuple[str, str]]:
    """Specs to try in turn for each strategy that plans, and its name."""
    for name in ("gramcache", "dpcache", "lemica", "budcache", "l2p", "meancache"):
        yield f"{name}:computed={count}", name
    for longest in (3, 5, 6, 8, 10):
        for thresh in np.geomspace(0.05, 3.0, 40):
            yield f"magcache:thresh={thresh:.3g}:K={longest}", "magcache"
    for distance in range(1, 10):
        for first in (3, 4, 2, 5):
            yield f"interval:n={distance}:first={first}", "interval"


@attrs.define(slots=False)
class Seeker:
    """Finds settings on calibration prompts."""

    chosen: ChosenModel
    prompts: int
    _whole: dict[str, torch.Tensor] = attrs.field(factory=dict, init=False)
    """The uncached final latents of each prompt."""

    def cache(self, spec: str) -> Cache | None:
        return choose_cache(spec, {}, None, None, self.chosen, STEPS, get_plugins())

    def best(self, specs: Iterable[str]) -> str | None:
        """The one whose final latents are nearest to the uncached ones, in the mean square over calibration prompts."""
        errors: dict[str, float] = {}
        seen: set[str | None] = set()
        for spec in specs:
            try:
                cache = self.cache(spec)
                assert cache is not None
                plan = cache.plan(STEPS, self.chosen.model.timesteps(STEPS))
            except CachekitError as error:
                click.echo(f"{spec}: {error}")
                continue
            if plan not in seen:
                seen.add(plan)
                errors[spec] = float(np.mean([self.missed(prompt, cache) for prompt in self.sought]))
        return min(errors, key=lambda spec: errors[spec], default=None)

    def missed(self, prompt: str, cache: Cache | None) -> float:
        if prompt not in self._whole:
            self._whole[prompt] = self.latents(prompt, None)
        return float((self.latents(prompt, cache) - self._whole[prompt]).square().mean())

    def latents(self, prompt: str, cache: Cache | None) -> torch.Tensor:
        text = self.pipeline.encode_text(prompt)
        with attach_cache(self.pipeline, cache, STEPS) if cache else nullcontext():
            made = self.pipeline.denoise(text, seed=0, steps=STEPS, guidance_scale=self.chosen.model.guidance_scale)
        assert isinstance(made, torch.Tensor)
        return made

    @property
    def sought(self) -> tuple[str, ...]:
        """The prompts that settings are sought on."""
        return tuple(self.chosen.model.calibration_prompts[: self.prompts])

    @cached_property
    def pipeline(self) -> Any:
        return self.chosen.model.load(device="cpu", dtype=None)

    def cost(self, spec: str) -> float:
        """Computed steps of a run, the mean over calibration prompts, the head and tail of skipped ones among them."""
        cache = self.cache(spec)
        assert cache is not None
        counts = []
        for prompt in self.sought:
            text = self.pipeline.encode_text(prompt)
            with attach_cache(self.pipeline, cache, STEPS) as session:
                self.pipeline.denoise(text, seed=0, steps=STEPS, guidance_scale=self.chosen.model.guidance_scale)
            counts.append(session.trace.computed)
        return paid(float(np.mean(counts)), partial(cache.strategy))

    def threshold(self, spec: str, field: str, low: float, high: float, seen: dict[float, float], count: int) -> float:
        """The value at which the cost is nearest to `count`; `seen` keeps what was tried, and says where to begin."""
        low = max((value for value, cost in seen.items() if cost > count), default=low)
        high = min((value for value, cost in seen.items() if cost <= count and value > low), default=high)
        for _ in range(7):
            middle = math.sqrt(low * high)
            value = float(f"{middle:.3g}")
            if value not in seen:
                seen[value] = self.cost(f"{spec}:{field}={value}")
            if abs(seen[value] - count) <= NEAR:
                break
            low, high = (value, high) if seen[value] > count else (low, value)
        return min(seen, key=lambda value: abs(seen[value] - count))


@click.command()
@click.option("--weights", help="Weights of the embedded model in place of the shipped.")
@click.option("--prompts", default=4, show_default=True, help="Calibration prompts to seek thresholds on.")
@click.option("--only", help="Strategies, separated by commas; the others are left out.")
@click.option("--out", type=click.Path(path_type=Path), default=CONFIG, show_default=True)
def settings(weights: str | None, prompts: int, only: str | None, out: Path) -> None:
    """Find the settings and write the config."""
    chosen = choose_model("opensora-mini", get_plugins(), {"weights": weights})
    seeker, wanted, lines = Seeker(chosen, prompts), set(only.split(",")) if only else None, []
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
                done.add(name)
                lines.append((spec, float(count)))
        if not wanted or "cem" in wanted:
            spec = seeker.best(
                f"cem:computed={count}:interval={interval}:weight={weight}:cumulative={adds_up}"
                for weight, adds_up, interval in CEM
            )
            lines += [(spec, float(count))] if spec else []
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
#   python -m benchmarks.figures field-4 field-7
# Each with its own predictor and with `damped`. Written by `python -m benchmarks.field`, which found the
# thresholds on calibration prompts at guidance 4; behind each setting stands what it cost there, in computed steps.

model = "opensora-mini"
prompts = "docs/field-prompts.txt"
steps = 30
seed = 31
guidance-scale = 4.0
predictor = ["own", "damped"]
baselines = "12,10,8,6"
"""


if __name__ == "__main__":
    settings()
