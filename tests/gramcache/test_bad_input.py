"""What can't work is refused in a sentence."""

import math

import attrs
import numpy as np
import pytest
from cachekit_gramcache import GramCache

import cachekit
from cachekit.parameters import build
from cachekit.predictors import Damped, Reuse, Taylor

GOOD = [[3.0, 2.0, 1.0], [2.0, 3.0, 2.0], [1.0, 2.0, 3.0]]


@attrs.define
class Opaque(cachekit.Predictor):
    """Says nothing of its weights."""

    def update(self, step, residual): ...

    def predict(self, step): ...


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        ({"computed": 0}, "computed"),
        ({"computed": 2.5}, "computed must be int, not 2.5"),
        ({"speedup": 0.5}, "speedup"),
        ({"speedup": math.nan}, "speedup must be a finite number, not nan"),
        ({"max_gap": 0}, "max_gap"),
        ({"retention_ratio": 1.5}, "retention_ratio"),
        ({"retention_ratio": math.nan}, "retention_ratio must be a finite number, not nan"),
        ({"pull": -1.0}, "pull"),
        ({"pull": math.inf}, "pull must be a finite number, not inf"),
        ({"gram": []}, "square matrix of at least 2 steps"),
        ({"gram": [[1.0, 0.0], [0.0]]}, "square matrix"),
        ({"gram": [[1.0, 0.0], [0.0, math.nan]]}, "finite numbers alone"),
        ({"gram": [[2.0, 1.0], [0.5, 2.0]]}, "damaged: it is not symmetric"),
        ({"gram": [[1.0, 2.0], [2.0, 1.0]]}, "damaged: it has negative eigenvalues"),
        ({"gram": [[1.0, 0.0], [0.0, 0.0]]}, "singular: the output of step 1 is zero"),
        ({"gram": np.ones((5, 5)).tolist()}, "singular: all outputs lie on one line or plane"),
        ({"scales": [1.0, 0.0]}, "scales must be finite numbers above 0"),
        ({"scales": [1.0, math.nan]}, "scales must be finite numbers above 0"),
        ({"gram": GOOD, "scales": [1.0, 2.0]}, "scales has 2 entries for the 3 steps of gram"),
        ({"timesteps": [1000.0, math.inf]}, "timesteps must be finite"),
        ({"timesteps": [1000.0, 500.0, 500.0]}, "timesteps must fall, or rise"),
        ({"gram": GOOD, "timesteps": [1000.0, 500.0]}, "timesteps has 2 entries for the 3 steps of gram"),
    ],
)
def test_bad_parameters_each_get_a_sentence(params, sentence):
    with pytest.raises(cachekit.CachekitError, match=sentence) as refusal:
        build(GramCache, "gramcache", params)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("params", "predictor", "sentence"),
    [
        ({"computed": 31}, Taylor(), "31 steps can't be computed of 30"),
        ({"computed": 2}, Taylor(order=2), r"2 computed steps are fewer than the 3 that Taylor predicts from"),
        ({"speedup": 30.0}, Taylor(), r"1 computed steps are fewer than the 2 that Taylor"),
        ({"computed": 3}, Damped(), r"fewer than the first 4 of 30, which retention_ratio .* at least 7, or set it"),
        ({"computed": 6}, Taylor(), r"a stretch longer than max_gap 6; compute at least 7, or set max_gap to 8"),
        ({"computed": 4, "retention_ratio": 0}, Taylor(), r"compute at least 5, or set max_gap to 7"),
        ({"computed": 5, "max_gap": 3, "retention_ratio": 0}, Reuse(), r"at least 8, or set max_gap to 5"),
        ({}, Opaque(), r"Opaque does not say its weights; use damped, reuse or taylor"),
    ],
)
def test_a_count_that_no_pattern_has_is_refused(measured, params, predictor, sentence):
    with pytest.raises(cachekit.CachekitError, match=sentence):
        GramCache(**params, **measured(30)).plan(cachekit.Run(30, predictor))


def test_the_least_count_and_gap_that_the_refusal_names_do_work(measured):
    run = cachekit.Run(30, Taylor())
    assert GramCache(computed=7, **measured(30)).plan(run).count("X") == 7
    assert GramCache(computed=6, max_gap=8, **measured(30)).plan(run).count("X") == 6
    assert GramCache(computed=4, max_gap=7, retention_ratio=0, **measured(30)).plan(run).count("X") == 4


def test_a_model_without_a_profile_is_told_how_to_calibrate(transformer):
    with pytest.raises(cachekit.CachekitError, match="measure one with `cachekit calibrate gramcache`"):
        cachekit.attach(transformer, "gramcache", steps=10)
    with pytest.raises(cachekit.CachekitError, match="`cachekit calibrate gramcache`"):
        cachekit.attach(transformer, GramCache(), steps=10)
