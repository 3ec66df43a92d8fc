"""A corrector between the transformer and its caller."""

import attrs
import pytest
import torch
from loops import CAPTION, Loop, falling
from stand_ins import HIDDEN, OpenSoraLike
from strategies_for_tests import Pattern

import cachekit


@attrs.define
class Notes(cachekit.Corrector):
    """Adds one to every computed output behind a skipped one, and notes what it saw."""

    seen: list = attrs.field(factory=list)
    skips: int = 0

    def skipped(self, index: int, output: torch.Tensor) -> None:
        self.seen.append((index, "."))
        self.skips += 1

    def computed(self, index: int, output: torch.Tensor) -> torch.Tensor:
        self.seen.append((index, "X"))
        skips, self.skips = self.skips, 0
        return output + skips


@attrs.define
class Corrected(Pattern):
    kind: type = Notes
    asked: list = attrs.field(factory=list)

    def corrector(self, run: cachekit.Run) -> cachekit.Corrector | None:
        self.asked.append(run.euler)
        return self.kind()


class Wrong(Notes):
    def computed(self, index: int, output: torch.Tensor) -> torch.Tensor:
        return output[..., :1]


@attrs.define
class Holds(Notes):
    """Keeps the last output it saw."""

    kept: torch.Tensor | None = None

    def computed(self, index: int, output: torch.Tensor) -> torch.Tensor:
        self.kept = output
        return output


class Whole(Notes):
    def computed(self, index: int, output: torch.Tensor) -> torch.Tensor:
        return output


def outputs(strategy, **told):
    """What the model returns at each step of a run at the same latents, and the session."""
    torch.manual_seed(0)
    model, steps = OpenSoraLike(), len(strategy.pattern)
    with cachekit.attach(model, strategy, steps=steps) as session, torch.no_grad():
        session.reset(timesteps=falling(steps), **told)
        found = [model(torch.ones(1, 6, 4), torch.tensor([t]), CAPTION) for t in falling(steps)]
    return found, session


def test_computed_outputs_are_changed_and_skipped_ones_are_not():
    (plain, _), (changed, _) = (outputs(kind("X..XX.")) for kind in (Pattern, Corrected))
    differences = [float((b - a).mean()) for a, b in zip(plain, changed, strict=True)]
    assert differences == pytest.approx([0, 0, 0, 2, 0, 0], abs=1e-6)


def test_an_output_handed_on_is_the_models_own():
    (plain, _), (changed, _) = outputs(Pattern("X..XX.")), outputs(Corrected("X..XX.", Whole))
    assert all(torch.equal(a, b) for a, b in zip(plain, changed, strict=True))


def test_it_is_asked_with_what_is_known_of_the_sampler():
    for told in ({}, {"euler": True}, {"euler": False}):
        strategy = Corrected("X.X.")
        outputs(strategy, **told)
        assert strategy.asked[-1] is told.get("euler", False)


def test_each_run_has_a_fresh_one():
    torch.manual_seed(0)
    model = OpenSoraLike()
    with cachekit.attach(model, Corrected("X.X."), steps=4), torch.no_grad():
        first, second = (Loop(falling(4))(model) for _ in range(2))
    assert torch.equal(first, second)


def test_what_it_holds_counts_as_held():
    model = OpenSoraLike()
    with cachekit.attach(model, Corrected("X.X.", Holds), steps=4) as session, torch.no_grad():
        before = session.held_bytes
        model(torch.ones(1, 6, 4), torch.tensor([1000.0]), CAPTION)
        assert session.held_bytes - before >= 6 * 4 * 4 + 6 * HIDDEN * 4


def test_an_output_of_another_shape_is_refused():
    with pytest.raises(cachekit.CachekitError, match=r"the corrector Wrong must return an output like .*\(1, 6, 4\)"):
        outputs(Corrected("X.X.", Wrong))
