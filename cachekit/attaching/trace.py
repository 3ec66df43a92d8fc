"""What a run did: its decisions, step by step."""

from __future__ import annotations

import attrs

from cachekit.interface.strategy import COMPUTED, SKIPPED

NOT_CALLED = "_"
"""Stands in a branch's pattern for a step in which the pipeline did not make its call."""


@attrs.frozen
class Trace:
    """The decisions of one run (or of its beginning, while it runs).

    With several branches `pattern` has an `X` where any of them computed, and `branches` holds each one's own.
    """

    pattern: str
    """`X` computed, `.` skipped, one character a step; `_` where this branch was not called."""
    branches: tuple[Trace, ...] = ()
    seconds: float | None = None
    """The time the run took, where whoever followed it measured that."""

    @property
    def computed(self) -> int:
        """Steps computed."""
        return self.pattern.count(COMPUTED)

    @property
    def skipped(self) -> int:
        """Steps skipped."""
        return self.pattern.count(SKIPPED)

    @property
    def ideal_speedup(self) -> float:
        """Calls of the transformer over calls that computed: the speedup if a skipped call cost nothing."""
        own = self.branches or (self,)
        computed, skipped = (sum(trace.pattern.count(mark) for trace in own) for mark in (COMPUTED, SKIPPED))
        return (computed + skipped) / computed if computed else 1.0


def trace_of(patterns: list[str], seconds: float | None = None) -> Trace:
    """The trace of a run whose branches made these decisions."""
    steps = max(map(len, patterns), default=0)
    columns = ["".join(pattern[i : i + 1] for pattern in patterns) for i in range(steps)]
    merged = "".join(next((mark for mark in (COMPUTED, SKIPPED) if mark in column), NOT_CALLED) for column in columns)
    return Trace(merged, tuple(map(Trace, patterns)), seconds)
