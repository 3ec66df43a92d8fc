"""The strategy `none`: every step computed, which is what all others are compared with."""

import attrs

import cachekit


@attrs.define
class Uncached(cachekit.Strategy):
    """Compute every step: the model as it is."""

    def plan(self, run: cachekit.Run) -> str:
        return cachekit.COMPUTED * run.steps


@cachekit.hookimpl
def cachekit_strategies(register: cachekit.RegisterStrategy) -> None:
    register(cachekit.UNCACHED, Uncached)
