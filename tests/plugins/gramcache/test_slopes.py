"""Slopes fitted to what was measured, and predictions as the final layer sees them."""

import numpy as np
import pytest
import torch
from cachekit_gramcache import GramCache
from cachekit_gramcache.outputs import Outputs
from cachekit_gramcache.slopes import FittedSlopes
from cachekit_predictors import Reuse, Taylor

import cachekit
from cachekit.interface.predictor import Damped
from cachekit.registry.plugins import get_plugins


def fitted(slope, pull, outputs):
    """Slopes of a run of even steps."""
    steps = len(outputs.scales)
    return FittedSlopes(
        slope,
        pull=pull,
        outputs=outputs,
        sizes=np.full(steps, 1 / steps),
        noise=np.linspace(1, 0, steps, endpoint=False),
    )


def directions(*angles):
    """Outputs that turn in a plane, by angle."""
    turning = np.array([[np.cos(angle), np.sin(angle)] for angle in angles])
    return turning @ turning.T


def test_a_residual_seen_through_the_normalisation_has_no_length():
    seen = Outputs(directions(0, 0.1, 0.2), np.array([4.0, 2.0, 1.0]))
    assert seen.weights([0, 1], [-1.0, 3.0]) == pytest.approx([-2.0, 3.0])
    assert seen.weights([1], [0.5]) == pytest.approx([1.0])


def test_residuals_that_cancel_predict_nothing_that_a_plan_would_choose():
    seen = Outputs(directions(0, 0.1, 0.2), np.array([4.0, 2.0, 1.0]))
    assert np.abs(seen.weights([0, 1], [-1.0, 2.0])).max() > 100


@pytest.mark.parametrize("lengths", [[1.0, 1.0, 1.0, 1.0], [3.0, 2.0, 1.5, 1.2], [1.0, 1.1, 1.2, 1.3]])
def test_the_slope_is_the_one_that_predicts_best(outputs, lengths):
    seen = Outputs(outputs(4).gram, np.array(lengths))

    def missed(slope):
        error = -np.eye(4)[3]
        error[[0, 1]] += seen.weights([0, 1], [-2 * slope, 1 + 2 * slope])
        return error @ seen.gram @ error

    slope = min(np.linspace(-2, 2, 4001), key=missed)
    assert abs(slope) < 1.9
    assert seen.slope(0, 1, 3) == pytest.approx(slope, abs=1e-3)


def test_outputs_that_do_not_turn_between_two_steps_have_no_slope():
    assert Outputs(directions(0, 0, 0.3), np.ones(3)).slope(0, 1, 2) == 0.0


def test_where_scales_grow_beyond_any_slope_the_whole_line_is_followed():
    angles, growing = directions(0, 0.1, 0.2), np.array([1.0, 3.0, 3.0])
    assert fitted(0.5, 0.5, Outputs(angles, growing)).slope_at(0, 1, 2) == 1.0
    back = directions(0, 0.1, 0.0)
    assert fitted(0.5, 0.5, Outputs(back, growing)).slope_at(0, 1, 2) < 0.5


def test_slopes_are_held_to_the_predictors_own_and_between_repeating_and_the_line():
    ahead = Outputs(directions(0, 0.1, 0.4), np.ones(3))
    assert ahead.slope(0, 1, 2) > 2
    assert fitted(0.4, 0.0, ahead).slope_at(0, 1, 2) == 1.0
    back = Outputs(directions(0, 0.1, 0.0), np.ones(3))
    assert back.slope(0, 1, 2) == pytest.approx(-1.0, abs=0.01)
    assert fitted(0.4, 0.0, back).slope_at(0, 1, 2) == 0.0
    assert fitted(0.4, 1e9, back).slope_at(0, 1, 2) == pytest.approx(0.4)
    slow = Outputs(directions(0, 0.1, 0.15), np.ones(3))
    measured = slow.slope(0, 1, 2)
    assert fitted(0.4, 1.0, slow).slope_at(0, 1, 2) == pytest.approx((measured + 0.4) / 2)
    beyond = (ahead.slope(0, 1, 2) + 20 * 0.4) / 21
    assert fitted(0.4, 20.0, ahead).slope_at(0, 1, 2) == pytest.approx(beyond)


def test_a_slope_is_held_back_the_more_the_steps_between_have_missed():
    seen = Outputs(directions(*np.linspace(0, 1, 11) ** 2), np.ones(11))
    slopes = fitted(0.5, 0.0, seen)
    assert slopes.off(4, 5) == 0.0
    assert 0 < slopes.off(3, 5) < slopes.off(1, 5)
    assert slopes.slope_at(4, 5, 6) == pytest.approx(min(seen.slope(4, 5, 6), 1.0))
    straight = Outputs(directions(*np.linspace(0, 1, 11)), np.ones(11))
    held = [fitted(0.5, 0.0, straight).slope_at(older, 8, 9) for older in (7, 5, 3, 1)]
    assert held == sorted(held, reverse=True)
    assert held[0] > 0.9
    assert held[-1] < 0.7


def test_the_less_noise_is_left_the_less_a_slope_is_trusted():
    straight = Outputs(directions(*np.linspace(0, 1, 11)), np.ones(11))
    assert fitted(0.5, 0.0, straight).off(2, 5) < fitted(0.5, 0.0, straight).off(6, 9)


def test_a_run_goes_with_the_slopes_that_the_plan_counted_on(measured, transformer, run):
    strategy = GramCache(computed=6, **measured(12))
    with cachekit.attach(transformer, strategy, steps=12) as session:
        fitted = torch.stack(run(12))
    slopes = strategy.fit_predictor(cachekit.Run(12, Damped()))
    fixed = get_plugins().strategies["fixed"].value(pattern=session.trace.pattern)
    with cachekit.attach(transformer, fixed, steps=12, predictor=slopes):
        assert torch.equal(torch.stack(run(12)), fitted)
    with cachekit.attach(transformer, fixed, steps=12, predictor="damped"):
        assert not torch.equal(torch.stack(run(12)), fitted)


class Fading(Damped):
    """A predictor of someone else's."""

    def slope_at(self, older, newer, index):
        return self.slope / (index - newer)


@pytest.mark.parametrize("predictor", [Reuse(), Taylor(), Taylor(order=2), Fading()])
def test_other_predictors_are_left_as_they_are(measured, predictor):
    assert GramCache(**measured(12)).fit_predictor(cachekit.Run(12, predictor)) is predictor


def test_slopes_follow_the_schedule_of_the_run(measured):
    strategy = GramCache(**measured(30))
    runs = [cachekit.Run(30, Damped()), cachekit.Run(60, Damped())]
    fine, coarse = (strategy.fit_predictor(r) for r in (runs[1], runs[0]))
    assert fine.slope_at(20, 24, 28) == pytest.approx(coarse.slope_at(10, 12, 14), abs=0.05)
