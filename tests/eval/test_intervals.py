"""How sure a mean is: the bootstrap's interval, paired and seeded."""

import math

import cachekit_eval
import numpy as np
import pytest
from cachekit_eval.intervals import difference_interval, mean_interval


def test_the_interval_of_many_videos_is_the_textbooks():
    values = np.random.default_rng(3).normal(30, 2, 400)
    low, high = mean_interval(tuple(values))
    half = 1.96 * values.std(ddof=1) / math.sqrt(400)
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.02)


def test_it_holds_the_true_mean_about_as_often_as_it_says():
    rng = np.random.default_rng(5)
    intervals = [mean_interval(tuple(rng.normal(0, 1, 40))) for _ in range(200)]
    assert 0.89 < np.mean([low <= 0 <= high for low, high in intervals]) < 0.99


def test_the_same_values_have_the_same_interval_and_another_seed_another():
    values = tuple(np.random.default_rng(0).normal(size=20))
    assert mean_interval(values) == mean_interval(values)
    assert mean_interval(values, seed=1) != mean_interval(values)


def test_equal_values_have_no_width_and_one_value_no_interval():
    assert mean_interval((3.0, 3.0, 3.0)) == (3.0, 3.0)
    assert mean_interval((3.0,)) is None
    assert difference_interval([], []) is None


def test_pairing_sees_a_small_difference_under_a_large_spread():
    hard = np.random.default_rng(1).normal(30, 5, 30)
    low, high = difference_interval(tuple(hard + 0.2), tuple(hard))
    assert low == pytest.approx(0.2) and high == pytest.approx(0.2)
    unpaired = mean_interval(tuple(hard))
    assert unpaired[1] - unpaired[0] > 2


def test_a_folders_mean_lies_in_its_interval_which_the_table_and_the_json_show(folders, cachekit):
    summary = cachekit_eval.evaluate(*folders, ["psnr"])["psnr"]
    assert summary.interval[0] <= summary.mean <= summary.interval[1]
    arguments = ("eval", "--gt", folders[0], "--gen", folders[1], "--metrics", "psnr")
    out = cachekit(*arguments)[1]
    assert f"[{summary.interval[0]:.4f}, {summary.interval[1]:.4f}]" in out
