"""Strategies and predictors that tests attach."""

import attrs

import cachekit


@attrs.define
class Pattern(cachekit.Strategy):
    """Plans the pattern it is given."""

    pattern: str = "X"

    def plan(self, run: cachekit.Run) -> str:
        return self.pattern


@attrs.define
class EveryOther(cachekit.Strategy):
    """Compute every n-th step; reuse the last residual between."""

    n: int = attrs.field(default=2, validator=attrs.validators.ge(1))

    def should_compute(self, step: cachekit.Step) -> bool:
        return step.index % self.n == 0


@attrs.define
class Never(cachekit.Strategy):
    """Never asks to compute."""

    asked: list = attrs.field(factory=list, init=False)

    def should_compute(self, step: cachekit.Step) -> bool:
        self.asked.append(step.index)
        return False


@attrs.define
class CountsCalls(cachekit.Strategy):
    """Keeps state on itself and never clears it: computes its first two steps of each run and branch."""

    _seen: int = attrs.field(default=0, init=False)

    def should_compute(self, step: cachekit.Step) -> bool:
        self._seen += 1
        return self._seen <= 2
