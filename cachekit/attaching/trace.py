"""What a run did: its decisions, step by step."""

from __future__ import annotations

import attrs

from cachekit.interface.strategy import COMPUTED, SKIPPED


@attrs.frozen
class Trace:
    """The decisions of one run (or of its beginning, while it runs).

    With several branches `pattern` has an `X` where any of them computed, and `branches` holds each one's own.
    """

    pattern: str
    """`X` computed, `.` skipped, one character a step."""
    branches: tuple[Trace, ...] = ()

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
        patterns = [branch.pattern for branch in self.branches] or [self.pattern]
        computed = sum(pattern.count(COMPUTED) for pattern in patterns)
        return sum(map(len, patterns)) / computed if computed else 1.0


def trace_of(patterns: list[str]) -> Trace:
    """The trace of a run whose branches made these decisions."""
    steps = max(map(len, patterns))
    merged = "".join(
        COMPUTED if any(pattern[i : i + 1] == COMPUTED for pattern in patterns) else SKIPPED for i in range(steps)
    )
    return Trace(merged, tuple(map(Trace, patterns)))
