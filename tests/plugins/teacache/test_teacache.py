"""TeaCache's rule and parameters."""

import math
import warnings

import attrs
import pytest
import torch
from cachekit_teacache import TeaCache, polynomial

import cachekit
from cachekit.registry.parameters import build


def decisions(strategy, probes):
    strategy = attrs.evolve(strategy)
    hidden = torch.zeros(1)
    steps = (
        cachekit.Step(i, len(probes), 0, hidden, None, lambda name, i=i: torch.tensor([probes[i]]))
        for i in range(len(probes))
    )
    return "".join("X" if strategy.should_compute(step) else "." for step in steps)


def test_computes_when_the_estimated_changes_have_added_up():
    growing = [1.1**i for i in range(9)]
    assert decisions(TeaCache(thresh=0.25, coefficients=[1.0, 0.0]), growing) == "X..X..X.X"


def test_first_and_last_step_are_computed_whatever_changes():
    assert decisions(TeaCache(thresh=9.0, coefficients=[1.0, 0.0]), [1.0] * 6) == "X....X"


def test_a_threshold_of_zero_computes_all():
    assert decisions(TeaCache(thresh=0.0, coefficients=[0.0]), [1.0] * 4) == "XXXX"


def test_the_polynomial_is_numpy_s():
    import numpy as np

    coefficients = [2.0, -1.0, 0.5, 3.0, 0.25]
    assert polynomial(coefficients, 0.3) == pytest.approx(float(np.poly1d(coefficients)(0.3)), rel=1e-12)


def test_relative_change_is_mean_over_mean():
    step = cachekit.Step(1, 2, 0)
    assert step.relative_change(torch.tensor([2.0, 5.0]), torch.tensor([1.0, 4.0])) == pytest.approx(2 / 5)


@pytest.mark.parametrize(
    ("change", "warned"), [(0.02, True), (0.025, True), (0.028, False), (0.14, False), (0.15, True)]
)
def test_changes_a_tenth_beyond_either_end_of_the_calibrated_range_are_warned_of(change, warned):
    strategy = TeaCache(coefficients=[1.0, 0.0], input_range=[0.03, 0.13])
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        decisions(strategy, [(1 + change) ** i for i in range(4)])
    assert bool(seen) == warned
    assert all("asked to extrapolate" in str(warning.message) for warning in seen)


def test_a_decision_reads_one_value_a_step(transformer, run, scalar_reads):
    with cachekit.attach(transformer, "teacache", steps=6, coefficients=[1.0, 0.0]), scalar_reads as reads:
        run(6)
    assert len(reads.seen) <= 6


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        ({"thresh": -1}, "thresh"),
        ({"thresh": math.inf}, "thresh must be a finite number"),
        ({"coefficients": []}, "coefficients must be finite numbers"),
        ({"coefficients": [1.0, math.nan]}, "coefficients must be finite numbers"),
        ({"coefficients": "quartic"}, "teacache's coefficients must be"),
    ],
)
def test_bad_parameters_each_get_a_sentence(params, sentence):
    with pytest.raises(cachekit.CachekitError, match=sentence):
        build(TeaCache, "teacache", params)
