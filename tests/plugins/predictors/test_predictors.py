"""What predictors answer."""

import attrs
import pytest
import torch
from cachekit_predictors import Reuse, Taylor

import cachekit
from cachekit.generation.generate import Cache
from cachekit.interface.predictor import Damped
from cachekit.registry.parameters import build, parameter_values, parse_spec
from cachekit.registry.plugins import get_plugins


def step(index):
    return cachekit.Step(index, 10, 0, torch.zeros(1), None, lambda name: torch.zeros(1))


def test_reuse_hands_on_the_last_residual_itself():
    predictor = Reuse()
    first, last = torch.randn(3), torch.randn(3)
    predictor.update(step(0), first)
    predictor.update(step(1), last)
    assert predictor.predict(step(4)) is last


@pytest.mark.parametrize("order", [0, 1, 2, 3])
def test_taylor_of_an_order_continues_a_polynomial_of_that_degree(order):
    predictor = Taylor(order=order)

    def residual(index):
        return torch.tensor([float(sum((power + 1) * index**power for power in range(order + 1)))])

    for index in (0, 1, 3, 4):
        predictor.update(step(index), residual(index))
    assert torch.allclose(predictor.predict(step(6)), residual(6), rtol=1e-5)


def test_taylor_uses_as_many_residuals_as_there_are():
    predictor = Taylor(order=2)
    predictor.update(step(0), torch.tensor([1.0]))
    assert predictor.predict(step(1)).item() == 1.0
    predictor.update(step(2), torch.tensor([5.0]))
    assert predictor.predict(step(3)).item() == pytest.approx(7.0)


def test_taylor_leaves_the_residuals_it_keeps_as_they_were():
    predictor = Taylor(order=1)
    kept = [torch.tensor([1.0]), torch.tensor([2.0])]
    predictor.update(step(0), kept[0])
    predictor.update(step(1), kept[1])
    assert predictor.predict(step(2)).item() == predictor.predict(step(2)).item() == 3.0
    assert [tensor.item() for tensor in kept] == [1.0, 2.0]


def test_streams_are_predicted_each():
    predictor = Taylor(order=1)
    predictor.update(step(0), (torch.tensor([0.0]), torch.tensor([10.0])))
    predictor.update(step(1), (torch.tensor([1.0]), torch.tensor([8.0])))
    image, text = predictor.predict(step(3))
    assert (image.item(), text.item()) == (3.0, 4.0)


@pytest.mark.parametrize(("slope", "expected"), [(0.0, 5.0), (0.5, 6.0), (1.0, 7.0)])
def test_damped_follows_a_share_of_the_line_through_the_last_two(slope, expected):
    predictor = Damped(slope=slope)
    for index, value in ((0, -40.0), (1, 3.0), (2, 5.0)):
        predictor.update(step(index), torch.tensor([value]))
    assert predictor.predict(step(3)).item() == pytest.approx(expected)
    assert predictor.predict(step(5)).item() == pytest.approx(5 + 3 * (expected - 5))


def test_damped_between_its_ends_is_reuse_and_taylor():
    for index in (5, 9):
        assert Damped(slope=0.0).weights([1, 4], index) == [0.0, *Reuse().weights([4], index)]
        assert Damped(slope=1.0).weights([1, 4], index) == pytest.approx(Taylor().weights([1, 4], index))


def test_damped_repeats_the_only_residual_there_is():
    predictor = Damped()
    predictor.update(step(0), torch.tensor([2.0]))
    assert predictor.predict(step(1)).item() == 2.0


@attrs.define
class TwoSteps(cachekit.Strategy):
    """Computes the first two steps."""

    def plan(self, run):
        return "XX" + "." * (run.steps - 2)


@attrs.define
class Fitting(TwoSteps):
    """And has its own slope for the rest."""

    def fit_predictor(self, run):
        return Damped(slope=1 / run.steps)


def test_a_run_goes_with_the_predictor_that_its_strategy_fits(transformer, run):
    with cachekit.attach(transformer, Fitting(), steps=4) as session:
        quarter = run(4)
        session.reset(steps=5)
        fifth = run(5)
    for steps, seen in ((4, quarter), (5, fifth)):
        with cachekit.attach(transformer, TwoSteps(), steps=steps, predictor=f"damped:slope={1 / steps}"):
            assert torch.equal(torch.stack(run(steps)), torch.stack(seen))
    with cachekit.attach(transformer, TwoSteps(), steps=5, predictor="damped"):
        assert not torch.equal(torch.stack(run(5)), torch.stack(fifth))


@pytest.mark.parametrize("name", sorted(entry.name for entry in get_plugins().predictors))
def test_a_predictor_s_words_make_the_same_one_again(name):
    """A report's rows are named by them, and its baselines are made from them."""
    plugins = get_plugins()
    kind = plugins.predictors[name].value
    words = Cache(cachekit.Strategy(), kind()).predictor_spec(plugins)
    named, settings = parse_spec(words)
    assert named == name
    assert parameter_values(build(kind, name, settings)) == parameter_values(kind())
