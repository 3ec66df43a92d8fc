"""MagCache's rule and parameters."""

import math
import warnings

import pytest
from cachekit_magcache import MagCache, nearest
from cachekit_predictors import Reuse

import cachekit
from cachekit.profiles.profile import load_folder
from cachekit.registry.parameters import build


def plan(steps, **params):
    return MagCache(**params).plan(cachekit.Run(steps, Reuse()))


def test_ratios_of_one_skip_up_to_k_after_the_retained_steps():
    assert plan(12, ratios=[1.0] * 11, K=3, retention_ratio=0.25) == "XXX...X...X."


def test_errors_of_a_stretch_are_summed_until_the_threshold():
    ratios = [0.95] * 11
    assert abs(1 - 0.95) + abs(1 - 0.95**2) == pytest.approx(0.1475)
    assert plan(12, ratios=ratios, thresh=0.148, K=9, retention_ratio=0.25) == "XXX..X..X..X"
    assert plan(12, ratios=ratios, thresh=0.147, K=9, retention_ratio=0.25) == "XXX.X.X.X.X."


def test_ratios_above_one_err_as_those_below():
    assert plan(12, ratios=[1.05] * 11, thresh=0.06, K=9, retention_ratio=0.25) == "XXX.X.X.X.X."


def test_a_threshold_of_zero_computes_all():
    assert plan(10, ratios=[0.99] * 9, thresh=0.0) == "X" * 10


def test_without_retention_only_the_first_step_is_sure():
    assert plan(6, ratios=[1.0] * 5, K=5, retention_ratio=0.0) == "X....."


def test_other_step_counts_take_the_nearest_ratios():
    assert nearest([1.0, 2.0, 3.0], 5) == [1.0, 1.0, 2.0, 3.0, 3.0]
    assert nearest([1.0, 2.0, 3.0], 1) == [3.0]
    assert len(plan(50, ratios=[0.99] * 29)) == 50


@pytest.mark.parametrize(("steps", "says"), [(4, True), (8, True), (12, True), (15, False), (20, False), (45, False)])
def test_a_run_of_less_than_half_the_steps_measured_is_warned_of(steps, says):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        plan(steps, ratios=[0.98] * 29)
    told = [str(one.message) for one in caught]
    begins = f"MagCache's ratios were measured on runs of 30 steps, and of {steps}"
    assert [text.startswith(begins) for text in told] == [True] * says


def test_each_branch_has_its_own_ratios_where_there_are_several_lists():
    strategy = MagCache(ratios=[[1.0] * 9, [0.5] * 9])
    plans = [strategy.plan(cachekit.Run(10, Reuse(), branch=branch)) for branch in (0, 1)]
    assert "." in plans[0]
    assert plans[1] == "X" * 10


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        ({"thresh": -0.1}, "thresh"),
        ({"thresh": math.nan}, "thresh must be a finite number, not nan"),
        ({"K": 0}, "K"),
        ({"K": 2.5}, "magcache's K must be int, not 2.5"),
        ({"retention_ratio": 1.2}, "retention_ratio"),
        ({"retention_ratio": -0.1}, "retention_ratio"),
        ({"ratios": []}, "at least one number"),
        ({"ratios": [1.0, math.nan]}, "entry 1 is nan"),
        ({"ratios": [[1.0, 1.0], [1.0]]}, "same length for every branch"),
    ],
)
def test_bad_parameters_each_get_a_sentence(params, sentence):
    with pytest.raises(cachekit.CachekitError, match=sentence):
        build(MagCache, "magcache", params)


def test_a_list_with_an_entry_for_step_0_is_refused(transformer):
    with pytest.raises(cachekit.CachekitError, match=r"ratios has 10 entries for 10 steps, but takes 9"):
        cachekit.attach(transformer, "magcache", steps=10, ratios=[1.0] * 10)


def test_the_published_profile_is_the_square_root_of_the_published_list(golden):
    import importlib.resources

    (profile,) = [
        p
        for p in load_folder(importlib.resources.files("cachekit_magcache") / "profiles")
        if p.steps == 30 and p.model.name == "Open-Sora 1.2"
    ]
    assert profile.values["ratios"] == pytest.approx([ratio**0.5 for ratio in golden["mag_ratios_raw"]])
    assert "source" in profile.made
