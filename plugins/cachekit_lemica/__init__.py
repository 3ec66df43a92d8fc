"""LeMiCa: lexicographic minimax path caching (arXiv 2511.00090). No code of its planner is public: from the paper.

Steps are nodes, and an edge i → j stands for computing i and j and skipping what is between. Its weight is the error of
the *final* latents when only those steps are skipped, measured offline (section 3.2): mean |cached - uncached|, over a
few prompts. Of all paths through `computed` steps the plan is that whose weights, sorted from the greatest, come first
in the dictionary (section 3.3): no edge may be bad, rather than their sum small. Published with reuse.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs
from attrs import validators

import cachekit
from cachekit_lemica.calibrator import EdgeCalibrator
from cachekit_lemica.planning import minimax_path


@attrs.define
class LeMiCa(cachekit.Strategy):
    """Compute the steps of the path whose worst gaps do the least harm to the result."""

    computed: int = attrs.field(default=12, validator=validators.ge(1), metadata={"help": "steps to compute"})
    edges: Sequence[Sequence[float]] | None = attrs.field(
        default=None,
        metadata=cachekit.measured("row i: error of the result where only the 1, 2, ... steps after i are skipped"),
    )

    def plan(self, run: cachekit.Run) -> str:
        edges = self.edges or ()
        if len(edges) != run.steps:
            raise cachekit.CachekitError(
                f"lemica's edges were measured on runs of {len(edges)} steps, and not of {run.steps}; "
                "calibrate with these steps"
            )
        if self.computed >= run.steps:
            return "X" * run.steps
        path = minimax_path(edges, self.computed)
        if path is None:
            raise cachekit.CachekitError(
                f"{self.computed} of {run.steps} steps leave gaps longer than the {len(edges[0])} that were measured; "
                "set computed higher"
            )
        return "".join("X" if index in path else "." for index in range(run.steps))

    def calibrator(self, conditions: cachekit.Conditions) -> cachekit.Calibrator:
        return EdgeCalibrator(conditions)


@cachekit.hookimpl
def cachekit_strategies(register: cachekit.RegisterStrategy) -> None:
    register("lemica", LeMiCa)
