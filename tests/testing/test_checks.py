"""The author's checks let through what keeps the interface, and name what does not."""

from __future__ import annotations

import attrs
import pytest
import torch
from stand_ins import OpenSoraLike, VideoSysLike
from strategies_for_tests import CountsCalls

import cachekit
from cachekit.opensora.adapter import OpenSoraAdapter
from cachekit.testing import SmallAdapter, SmallTransformer, check_adapter, check_predictor, check_strategy


@attrs.define
class EveryOther(cachekit.Strategy):
    """Compute every n-th step."""

    n: int = attrs.field(default=2, metadata={"help": "distance between computed steps"})

    def should_compute(self, step: cachekit.Step) -> bool:
        return step.index % self.n == 0


def test_a_strategy_that_keeps_the_interface_passes_as_a_class_with_parameters_and_made():
    check_strategy(EveryOther)
    check_strategy(EveryOther, n=3)
    check_strategy(EveryOther(n=4), predictor="damped")


def test_state_kept_on_the_strategy_is_no_leak_since_each_run_has_a_copy():
    check_strategy(CountsCalls)


class Plain(cachekit.Strategy):
    """Not an attrs class."""


@attrs.define
class Silent(cachekit.Strategy):
    """Says nothing of its parameter."""

    n: int = 2


SHARED: list[int] = []


@attrs.define
class Leaks(EveryOther):
    """Remembers its runs outside of itself."""

    def should_compute(self, step: cachekit.Step) -> bool:
        SHARED.append(step.index)
        return len(SHARED) % 5 == 0


@attrs.define
class Short(EveryOther):
    """Plans too few steps."""

    def plan(self, run: cachekit.Run) -> str:
        return "X."


@attrs.define
class Peeks(EveryOther):
    """Reads a tensor to plan."""

    def plan(self, run: cachekit.Run) -> str:
        return "X" * int(torch.tensor(run.steps))


@attrs.define
class Hoards(EveryOther):
    """Keeps every step's hidden states."""

    kept: list[torch.Tensor] = attrs.field(factory=list, init=False)

    def should_compute(self, step: cachekit.Step) -> bool:
        self.kept.append(step.hidden.clone())
        return True


@attrs.define
class Unmeasurable(EveryOther):
    """Has a measured field that nobody measures."""

    ratios: float | None = attrs.field(default=None, metadata=cachekit.measured("ratios"))


@pytest.mark.parametrize(
    ("strategy", "sentence"),
    [
        (Plain, "must be an attrs class"),
        (Silent, "parameter n needs a word"),
        (Leaks, "it keeps state"),
        (Short, "must be X and ."),
        (Peeks, "reads 2 values of tensors to plan"),
        (Hoards, "tensors of the hidden states' size"),
        (Unmeasurable, "has measured fields but no calibrator"),
    ],
)
def test_a_strategy_that_does_not_is_named_with_what_it_breaks(strategy, sentence):
    with pytest.raises(AssertionError, match=sentence):
        check_strategy(strategy)


@attrs.define
class Last(cachekit.Predictor):
    """The last residual."""

    kept: cachekit.Residual | None = attrs.field(default=None, init=False)

    def update(self, step: cachekit.Step, residual: cachekit.Residual) -> None:
        self.kept = residual

    def predict(self, step: cachekit.Step) -> cachekit.Residual:
        return self.kept


@attrs.define
class Writes(Last):
    """Adds up in place."""

    def update(self, step, residual):
        if self.kept is not None and not isinstance(residual, tuple):
            residual.add_(self.kept)
        self.kept = residual


@attrs.define
class Widens(Last):
    """Answers in float32."""

    def predict(self, step):
        return self.kept.float() if not isinstance(self.kept, tuple) else self.kept


@attrs.define
class Reads(Last):
    """Looks at a value."""

    def predict(self, step):
        assert float(cachekit.streams(self.kept)[0].abs().sum()) > 0
        return self.kept


@attrs.define
class KeepsAll(Last):
    """Keeps every residual."""

    all: list[cachekit.Residual] = attrs.field(factory=list, init=False)

    def update(self, step, residual):
        self.kept = residual
        self.all.append(residual)


@attrs.define
class Miscounts(cachekit.LinearPredictor):
    """Always gives two weights."""

    @property
    def history(self):
        return 2

    def weights(self, computed, index):
        return [0.5, 0.5]


def test_a_predictor_that_keeps_the_interface_passes():
    check_predictor(Last)
    check_predictor(cachekit.Damped, slope=0.25)


@pytest.mark.parametrize(
    ("predictor", "sentence"),
    [
        (Writes, "writes into the residuals"),
        (Widens, "predicts .*float32.* for residuals .*bfloat16"),
        (Reads, "reads a tensor's value"),
        (KeepsAll, "holds 9.0 residuals, where 8 are its most"),
    ],
)
def test_a_predictor_that_does_not_is_named_with_what_it_breaks(predictor, sentence):
    with pytest.raises(AssertionError, match=sentence):
        check_predictor(predictor)


def test_a_linear_predictor_of_the_wrong_number_of_weights_is_refused():
    with pytest.raises((AssertionError, ValueError), match=r"weights|shorter|longer"):
        check_predictor(Miscounts)


def test_an_adapter_that_keeps_the_interface_passes():
    transformer, latents = SmallTransformer(), torch.randn(1, 4, 2, 4, 4)
    check_adapter(SmallAdapter, transformer, lambda t: transformer(latents, torch.tensor([t])))


@pytest.mark.parametrize("kind", [OpenSoraLike, VideoSysLike])
def test_the_adapter_of_open_sora_passes_on_both_call_shapes(kind):
    torch.manual_seed(0)
    transformer, x, y = kind(), torch.randn(1, 6, 4), torch.randn(1, 3, 16)
    more = ([500.0],) if kind is VideoSysLike else ()
    check_adapter(OpenSoraAdapter, transformer, lambda t: transformer(x, torch.tensor([t]), *more, y))


class Eager(SmallAdapter):
    """Fits anything."""

    @classmethod
    def fits(cls, transformer):
        return True


class Timeless(SmallAdapter):
    """Looks for the timestep under another name."""

    timestep_names = ("sigma",)


@pytest.mark.parametrize(("adapter", "sentence"), [(Eager, "fits a linear layer"), (Timeless, "finds no timestep")])
def test_an_adapter_that_does_not_is_named_with_what_it_breaks(adapter, sentence):
    transformer, latents = SmallTransformer(), torch.randn(1, 4, 2, 4, 4)
    with pytest.raises(AssertionError, match=sentence):
        check_adapter(adapter, transformer, lambda t: transformer(latents, torch.tensor([t])))
