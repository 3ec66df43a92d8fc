"""Equal intervals: so many computed steps spread evenly over a run, which any cleverer choice must beat."""

import attrs
from attrs import validators

import cachekit


@attrs.define
class Uniform(cachekit.Strategy):
    """Compute a number of steps spread evenly, the first and the last among them."""

    computed: int = attrs.field(
        default=12, validator=validators.ge(1), metadata={"help": "steps that are computed; 1 computes the first alone"}
    )

    def plan(self, run: cachekit.Run) -> str:
        if self.computed > run.steps:
            raise cachekit.CachekitError(
                f"uniform can't compute {self.computed} of {run.steps} steps; set computed to {run.steps} or fewer"
            )
        gaps = max(1, self.computed - 1)
        chosen = {round(i * (run.steps - 1) / gaps) for i in range(self.computed)}
        return "".join("X" if index in chosen else "." for index in range(run.steps))


@cachekit.hookimpl
def cachekit_strategies(register: cachekit.RegisterStrategy) -> None:
    register("uniform", Uniform)
