"""BudCache: the best pattern of a budget, by search (arXiv 2606.13496; Westlake-AGI-Lab/BudCache, stage 1).

For a fixed number of computed steps, patterns are tried on a prompt, and the mean square error of the final latents is
what they cost (stage 1). Simulated annealing moves single steps and pairs, then hill climbing tries every single move
until none helps; the first quarter of the budget are the first steps. Published with reuse. Stage 2, which trains the
sampler's schedule to the pattern, is no cache and is left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs
from attrs import validators

import cachekit
from cachekit_budcache.calibrator import SearchCalibrator


@attrs.define
class BudCache(cachekit.Strategy):
    """Compute the steps that a search found best for their number."""

    computed: int = attrs.field(default=12, validator=validators.ge(1), metadata={"help": "steps to compute"})
    patterns: Sequence[str] | None = attrs.field(
        default=None, metadata=cachekit.measured("the best pattern found, of each number of computed steps searched")
    )

    def plan(self, run: cachekit.Run) -> str:
        known: Mapping[int, str] = {p.count("X"): p for p in self.patterns or () if len(p) == run.steps}
        if self.computed not in known:
            of = {len(pattern) for pattern in self.patterns or ()}
            raise cachekit.CachekitError(
                f"budcache has no pattern of {self.computed} in {run.steps} steps; of {sorted(of)} steps it has "
                f"{sorted(known)}: set computed to one of them, or calibrate"
            )
        return known[self.computed]

    def calibrator(self, conditions: cachekit.Conditions) -> cachekit.Calibrator:
        return SearchCalibrator(conditions)


@cachekit.hookimpl
def cachekit_strategies(register: cachekit.RegisterStrategy) -> None:
    register("budcache", BudCache)
