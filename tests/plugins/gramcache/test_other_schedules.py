"""Runs of other step counts or timesteps than those calibrated."""

import numpy as np
import pytest
from cachekit_gramcache import GramCache
from cachekit_gramcache.schedule import noise_levels, step_sizes, timesteps_of
from cachekit_predictors import Taylor

import cachekit

EVEN = [1000.0, 750.0, 500.0, 250.0]


def test_step_sizes_are_differences_of_timesteps_and_add_up_to_one():
    assert step_sizes([1000.0, 900.0, 500.0, 250.0]) == pytest.approx([0.1, 0.4, 0.25, 0.25])
    assert step_sizes(EVEN) == pytest.approx([0.25] * 4)
    assert step_sizes([0.0, 0.2, 0.6]) == pytest.approx([0.2, 0.4, 0.4])


def test_noise_levels_are_the_share_of_the_way_that_is_left():
    assert noise_levels(EVEN) == pytest.approx([1, 0.75, 0.5, 0.25])
    assert noise_levels([0.0, 0.2, 0.6]) == pytest.approx([1, 0.8, 0.4])


def test_the_calibrated_timesteps_leave_the_outputs_as_they_are(outputs):
    seen = outputs(4)
    assert seen.at(EVEN, EVEN) is seen


def test_other_timesteps_get_outputs_interpolated_linearly(rows, outputs):
    r = rows(4)
    between = np.stack([r[0], 0.4 * r[0] + 0.6 * r[1], r[2], 0.5 * r[2] + 0.5 * r[3], 1.6 * r[3] - 0.6 * r[2]])
    seen = outputs(4)
    interpolated = seen.at([1000.0, 850.0, 500.0, 375.0, 100.0], EVEN)
    np.testing.assert_allclose(interpolated.gram, between @ between.T)
    s = seen.scales
    assert interpolated.scales == pytest.approx(
        [s[0], 0.4 * s[0] + 0.6 * s[1], s[2], (s[2] + s[3]) / 2, 1.6 * s[3] - 0.6 * s[2]]
    )


def test_rising_timesteps_interpolate_too(rows, outputs):
    middle = (rows(3)[0] + rows(3)[1]) / 2
    assert outputs(3).at([0.1], [0.0, 0.2, 0.6]).gram[0, 0] == pytest.approx(middle @ middle)


def test_where_timesteps_are_unknown_the_calibrated_schedule_is_stretched():
    assert timesteps_of(4, None, EVEN) == EVEN
    assert timesteps_of(8, None, EVEN) == [1000.0, 875.0, 750.0, 625.0, 500.0, 375.0, 250.0, 125.0]
    assert timesteps_of(2, (900.0, 300.0), EVEN) == (900.0, 300.0)


@pytest.mark.parametrize("steps", [20, 30, 50])
def test_a_profile_plans_runs_of_other_step_counts(measured, steps):
    plan = GramCache(**measured(30)).plan(cachekit.Run(steps, Taylor()))
    assert (len(plan), plan.count("X")) == (steps, int(steps / 2.5))


def test_uneven_timesteps_give_another_plan(measured):
    strategy, predictor = GramCache(**measured(30)), Taylor()
    shifted = tuple(1000 * 3 * t / (1 + 2 * t) for t in np.linspace(1, 1 / 30, 30))
    assert strategy.plan(cachekit.Run(30, predictor, shifted)) != strategy.plan(cachekit.Run(30, predictor))


def test_repeated_timesteps_that_fall_end_at_zero():
    assert step_sizes([1000.0, 1000.0, 500.0, 500.0]) == pytest.approx([0, 0.5, 0, 0.5])
