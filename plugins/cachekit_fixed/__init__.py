"""A pattern given as text, for whoever has found one."""

import attrs

import cachekit


def check_pattern(instance: object, attribute: "attrs.Attribute[str]", value: str) -> None:
    wrong = sorted(set(value) - set("X."))
    if wrong or not value:
        raise ValueError(f"pattern must hold an X (computed) or a . (skipped) for each step, not {value!r}")
    if value[0] != "X":
        raise ValueError(f"pattern must begin with X, since there is nothing to reuse before it, not {value!r}")


@attrs.define
class Fixed(cachekit.Strategy):
    """Compute the steps that a pattern says."""

    pattern: str = attrs.field(
        default="", validator=check_pattern, metadata={"help": "X computed, . skipped, one character a step: XXX..X..X"}
    )

    def plan(self, run: cachekit.Run) -> str:
        if len(self.pattern) != run.steps:
            raise cachekit.CachekitError(
                f"the pattern has {len(self.pattern)} characters for {run.steps} steps; give one a step"
            )
        return self.pattern


@cachekit.hookimpl
def cachekit_strategies(register: cachekit.RegisterStrategy) -> None:
    register("fixed", Fixed)
