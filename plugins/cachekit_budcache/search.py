"""BudCache's search (arXiv 2606.13496, stage 1): annealing, then hill climbing, over patterns of a fixed budget."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator

Loss = Callable[[str], float]

ITERATIONS = 200
COOLING = 1e-3
"""The last temperature over the first; the first is half of what an even pattern costs."""
NEAR, NEARLY = 3, 0.7
"""A single move stays within so many steps, with this probability."""
SINGLE = 0.9
"""Probability of moving one computed step rather than two."""


def search(steps: int, computed: int, loss: Loss, seed: int = 0) -> str:
    """The best pattern found; the same for the same losses and seed. Each pattern is asked for once at most."""
    known: dict[str, float] = {}

    def cost(pattern: str) -> float:
        if pattern not in known:
            known[pattern] = loss(pattern)
        return known[pattern]

    if computed >= steps:
        return "X" * steps
    chance, forced = random.Random(seed), max(1, computed // 4)
    current = even(steps, computed, forced)
    hottest = cost(current) / 2
    for iteration in range(ITERATIONS):
        temperature = hottest * COOLING ** (iteration / ITERATIONS)
        candidate = moved(current, forced, chance)
        worse = cost(candidate) - cost(current)
        if worse < 0 or (temperature > 0 and chance.random() < math.exp(-worse / temperature)):
            current = candidate
    best = min(known, key=lambda pattern: known[pattern])
    while True:
        better = min(neighbours(best, forced), key=cost, default=best)
        if cost(better) >= cost(best):
            return best
        best = better


def even(steps: int, computed: int, forced: int) -> str:
    """The first steps, and the others spread evenly to the end."""
    rest = computed - forced
    chosen = {forced + round((i + 1) * (steps - forced) / (rest + 1)) for i in range(rest)}
    free = (step for step in range(steps - 1, -1, -1) if step >= forced and step not in chosen)
    chosen = {step for step in chosen if step < steps}
    while len(chosen) < rest:
        chosen.add(next(free))
    return "".join("X" if index < forced or index in chosen else "." for index in range(steps))


def moved(pattern: str, forced: int, chance: random.Random) -> str:
    """One computed step changed with a skipped one, mostly near by, or two with two."""
    for _ in range(1 if chance.random() < SINGLE else 2):
        computed = [i for i, mark in enumerate(pattern) if mark == "X" and i >= forced]
        skipped = [i for i, mark in enumerate(pattern) if mark == "."]
        if not computed or not skipped:
            return pattern
        step = chance.choice(computed)
        near = [other for other in skipped if abs(other - step) <= NEAR]
        other = chance.choice(near if near and chance.random() < NEARLY else skipped)
        pattern = exchanged(pattern, step, other)
    return pattern


def neighbours(pattern: str, forced: int) -> Iterator[str]:
    """Every pattern in which one computed step moves to a skipped one near by."""
    for step, mark in enumerate(pattern):
        if mark == "X" and step >= forced:
            for other in range(max(0, step - NEAR), min(len(pattern), step + NEAR + 1)):
                if pattern[other] == ".":
                    yield exchanged(pattern, step, other)


def exchanged(pattern: str, step: int, other: int) -> str:
    marks = list(pattern)
    marks[step], marks[other] = marks[other], marks[step]
    return "".join(marks)
