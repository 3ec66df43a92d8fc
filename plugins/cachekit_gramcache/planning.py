"""The exact search: for every number of computed steps, the pattern of the least predicted error."""

from __future__ import annotations

from typing import TypeAlias

import attrs
import numpy as np

from cachekit import COMPUTED, SKIPPED, LinearPredictor
from cachekit_gramcache.correcting import Correction
from cachekit_gramcache.outputs import Array, Outputs

State: TypeAlias = tuple[int, ...]
"""The last computed steps, oldest first: as many as the predictor keeps."""


STALE = 0.6
"""How much of ‖E‖² a stretch still costs per κ, since the step that corrects it ran on latents that were off."""


def stretch_costs(
    outputs: Outputs,
    sizes: Array,
    predictor: LinearPredictor,
    kept: State,
    longest: int,
    correction: Correction | None = None,
) -> Array:
    """‖E‖² of the stretches of 0, 1, ... `longest` skipped steps after the computed steps `kept`.

    E is the error that the sampler gathers over the stretch, with `sizes` for its steps (`Outputs.missed`). Where it is
    corrected at its end, (1 - κ) E and κ times what the correction leaves stay of it, and a share of E itself.
    """
    missed = outputs.missed(sizes, predictor, kept, longest)
    costs = outputs.squared(missed)
    if correction is not None:  # no computed step stands behind the last one to correct it
        lengths = range(1, min(longest, len(sizes) - 2 - kept[-1]) + 1)
        ends = [corrected(missed[length], sizes, correction, kept, length) for length in lengths]
        if ends:
            left, strengths = np.stack([left for left, _ in ends]), np.array([strength for _, strength in ends])
            costs[1 : len(ends) + 1] = outputs.squared(left) + STALE * strengths * costs[1 : len(ends) + 1]
    return costs


def corrected(missed: Array, sizes: Array, correction: Correction, kept: State, length: int) -> tuple[Array, float]:
    """What is left of a stretch's E once the step behind it has corrected it, and κ."""
    last, after = kept[-1], kept[-1] + 1 + length
    stretch = slice(last + 1, after)
    shares, strength = correction.of(kept, after)
    left = (1 - strength) * missed
    left[stretch] += strength * sizes[stretch]
    left[last] -= strength * (sizes[stretch] @ (1 - shares))
    left[after] -= strength * (sizes[stretch] @ shares)
    return left, strength


@attrs.frozen(eq=False)
class Plans:
    """The best pattern of each number of computed steps, and its cost (infinite where there is no such pattern)."""

    costs: Array
    """Σ ‖E‖² over the stretches of the best pattern, by number of computed steps: `[steps + 1]`."""
    _ends: list[State]
    """State in which the best pattern of each count ends."""
    _before: dict[State, list[State]]
    """Of each state and count, the state before on the best way to it."""

    def pattern(self, computed: int) -> str:
        """The best pattern with exactly so many computed steps."""
        state, count, marks = self._ends[computed], computed, [SKIPPED] * (len(self.costs) - 1)
        while state:
            marks[state[-1]] = COMPUTED
            state, count = self._before[state][count], count - 1
        return "".join(marks)


def plan_all(
    outputs: Outputs,
    sizes: Array,
    predictor: LinearPredictor,
    *,
    max_gap: int,
    retained: int = 1,
    correction: Correction | None = None,
) -> Plans:
    """Dynamic programming over the last `predictor.history` computed steps, for all numbers of computed steps at once.

    `sizes` `[N]` is how much each step's error counts; the first `retained` steps are computed. Of all ways to reach a
    state with k computed steps only the cheapest can be part of a best pattern, because what a stretch costs depends
    on nothing before the state it starts in.
    """
    steps = len(sizes)
    best: dict[State, Array] = {(0,): np.full(steps + 1, np.inf)}
    before: dict[State, list[State]] = {(0,): [()] * (steps + 1)}
    best[0,][1] = 0.0
    total = np.full(steps + 1, np.inf)
    ends: list[State] = [()] * (steps + 1)
    waiting: list[list[State]] = [[(0,)], *([] for _ in range(steps - 1))]
    for last in range(steps):
        for state in waiting[last]:
            longest = min(max_gap, steps - 1 - last) if last + 1 >= retained else 0
            costs = stretch_costs(outputs, sizes, predictor, state, longest, correction)
            for gap, cost in enumerate(costs):
                reached = best[state] + cost
                following = last + gap + 1
                if following == steps:
                    for count in np.flatnonzero(reached < total):
                        total[count], ends[count] = reached[count], state
                    continue
                successor = (*state, following)[-predictor.history :]
                if successor not in best:
                    best[successor] = np.full(steps + 1, np.inf)
                    before[successor] = [()] * (steps + 1)
                    waiting[following].append(successor)
                cheaper = np.flatnonzero(reached[:-1] < best[successor][1:]) + 1
                best[successor][cheaper] = reached[cheaper - 1]
                for count in cheaper:
                    before[successor][count] = state
    return Plans(total, ends, before)
