"""The strategy `none`: every step computed, which is what all others are compared with."""

import attrs

from cachekit.hooks import RegisterStrategy, hookimpl
from cachekit.strategy import COMPUTED, Run, Strategy

NONE = "none"


@attrs.define
class Uncached(Strategy):
    """Compute every step: the model as it is."""

    def plan(self, run: Run) -> str:
        return COMPUTED * run.steps


@hookimpl
def cachekit_strategies(register: RegisterStrategy) -> None:
    register(NONE, Uncached)
