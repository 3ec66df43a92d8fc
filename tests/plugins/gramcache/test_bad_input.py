"""What can't work is refused in a sentence."""

import math
import re

import attrs
import numpy as np
import pytest
from cachekit_gramcache import GramCache
from cachekit_predictors import Reuse, Taylor

import cachekit
from cachekit.attaching.attach import resolve_strategy
from cachekit.interface.predictor import Damped
from cachekit.profiles.profile import ProfiledModel
from cachekit.registry.parameters import build
from cachekit.registry.plugins import get_plugins

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
        ({"computed": 2}, Taylor(order=2), r"2 of 30 .* because Taylor predicts from 3; set computed to at least 3"),
        ({"speedup": 30.0, "max_gap": 10}, Taylor(), r"2 of 30 .* longer than max_gap 10; .* at least 3"),
        ({"computed": 3, "max_gap": 6}, Damped(), r"set computed to at least 6 \(or speedup to at most 5\)"),
        ({"computed": 5, "max_gap": 6}, Taylor(), r"they leave a stretch longer than max_gap 6; .* at least 6"),
        ({"computed": 4, "max_gap": 6, "retention_ratio": 0}, Taylor(), r"max_gap 6; set computed to at least 5"),
        ({"computed": 5, "max_gap": 3, "retention_ratio": 0}, Reuse(), r"longer than max_gap 3; .* at least 8"),
        ({}, Taylor(order=4), r"at most 4 residuals, .* and Taylor keeps 5; use one of lower order"),
        ({}, Opaque(), r"Opaque does not say its weights; use damped, reuse or taylor"),
    ],
)
def test_a_count_that_no_pattern_has_is_refused(measured, params, predictor, sentence):
    with pytest.raises(cachekit.CachekitError, match=sentence):
        GramCache(**params, **measured(30)).plan(cachekit.Run(30, predictor))


@pytest.mark.parametrize(
    "params",
    [{"computed": 1, "max_gap": 9}, {"computed": 5, "max_gap": 6}, {"speedup": 16.0, "max_gap": 4}],
)
@pytest.mark.parametrize("predictor", [Damped(), Reuse(), Taylor(order=3)])
def test_what_a_refused_count_is_advised_works(measured, params, predictor):
    run = cachekit.Run(30, predictor)
    with pytest.raises(cachekit.CachekitError) as refusal:
        GramCache(**params, **measured(30)).plan(run)
    least, speedup = re.search(r"at least (\d+) \(or speedup to at most ([\d.]+)\)", str(refusal.value)).groups()
    rest = {"max_gap": params.get("max_gap"), **measured(30)}
    assert GramCache(computed=int(least), **rest).plan(run).count("X") == int(least)
    assert GramCache(speedup=float(speedup), **rest).plan(run).count("X") == int(least)
    with pytest.raises(cachekit.CachekitError, match="too few"):
        GramCache(computed=int(least) - 1, **rest).plan(run)


def test_one_step_is_enough_for_a_predictor_that_repeats_and_for_no_other(measured):
    one = GramCache(computed=1, **measured(30))
    assert one.plan(cachekit.Run(30, Reuse())) == "X" + "." * 29
    with pytest.raises(cachekit.CachekitError, match="too few"):
        one.plan(cachekit.Run(30, Damped()))


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("predictor", [Damped(), Reuse(), Taylor(order=3)])
def test_short_runs_work_with_the_defaults(measured, steps, predictor):
    assert len(GramCache(**measured(30)).plan(cachekit.Run(steps, predictor))) == steps


def test_arrays_are_taken_for_lists(measured):
    values = {name: np.array(value) for name, value in measured(12).items()}
    run = cachekit.Run(12, Damped())
    assert GramCache(**values).plan(run) == GramCache(**measured(12)).plan(run)


def test_a_profile_of_an_earlier_version_is_refused_by_what_it_lacks(transformer, measured):
    values = {name: value for name, value in measured(10).items() if name != "scales"}
    with pytest.raises(
        cachekit.CachekitError, match=r"the profile given for gramcache has no scales.* measure it anew"
    ):
        resolve_strategy("gramcache", {}, get_plugins(), "STDiT3", {}, steps=10, profile=profile_of(values))


def profile_of(values):
    return cachekit.Profile("gramcache", ProfiledModel("STDiT3", {}), values, steps=10)


def test_a_model_without_a_profile_is_told_how_to_calibrate(transformer):
    with pytest.raises(cachekit.CachekitError, match="measure one with `cachekit calibrate gramcache`"):
        cachekit.attach(transformer, "gramcache", steps=10)
    with pytest.raises(cachekit.CachekitError, match="`cachekit calibrate gramcache` and attach by name"):
        cachekit.attach(transformer, GramCache(), steps=10)
