"""LeMiCa's path (arXiv 2511.00090, section 3.3)."""

from __future__ import annotations

from collections.abc import Sequence

Weights = tuple[float, ...]
"""A path's weights, the greatest first: tuples compare as the paper's order does."""


def minimax_path(edges: Sequence[Sequence[float]], computed: int) -> tuple[int, ...] | None:
    """The steps of the lexicographically least path with so many; None where gaps as long as needed are not measured.

    `edges[i][g - 1]` is the weight of skipping the g steps after i; a gap at the end is one too. Of all ways to a step
    in a number of edges only the least can be part of the least path, since adding an edge keeps their order.
    """
    steps = len(edges)
    best: dict[int, tuple[Weights, tuple[int, ...]]] = {0: ((), (0,))}
    for _ in range(computed - 1):
        reached: dict[int, tuple[Weights, tuple[int, ...]]] = {}
        for step, (weights, path) in best.items():
            for skipped in range(min(len(edges[step]), steps - step - 2) + 1):
                following = step + 1 + skipped
                way = extended(weights, edges, step, skipped), (*path, following)
                if following not in reached or way < reached[following]:
                    reached[following] = way
        best = reached
    ends = [
        (extended(weights, edges, step, steps - 1 - step), path)
        for step, (weights, path) in best.items()
        if steps - 1 - step <= len(edges[step])
    ]
    return min(ends)[1] if ends else None


def extended(weights: Weights, edges: Sequence[Sequence[float]], step: int, skipped: int) -> Weights:
    """The weights with those of one more edge, which is nothing where no step is skipped."""
    weight = edges[step][skipped - 1] if skipped else 0.0
    return tuple(sorted((*weights, weight), reverse=True))
