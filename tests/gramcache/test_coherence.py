"""Errors of different stretches that add up: `coherence`."""

import numpy as np
import pytest
from cachekit_gramcache import GramCache
from cachekit_gramcache.coherence import coherent_cost, exchanged
from cachekit_gramcache.planning import plan_all

import cachekit
from cachekit.predictors import Reuse, Taylor

SIZES = np.full(12, 1 / 12)


def whole_error(pattern, rows, predictor):
    """E of the whole run: the sum over all skipped steps."""
    error, kept = np.zeros(rows.shape[1]), []
    for step, mark in enumerate(pattern):
        if mark == "X":
            kept = [*kept, step][-predictor.history :]
        else:
            predicted = sum(w * rows[j] for w, j in zip(predictor.weights(kept, step), kept, strict=True))
            error += SIZES[step] * (rows[step] - predicted)
    return error


@pytest.mark.parametrize("predictor", [Reuse(), Taylor(), Taylor(order=2)], ids=str)
def test_without_coherence_the_cost_is_the_plans_and_with_it_that_of_the_whole_run(residuals, predictor):
    rows = residuals(12)
    gram = rows @ rows.T
    plans = plan_all(gram, SIZES, predictor, 6)
    for count in range(3, 13):
        pattern = plans.pattern(count)
        assert coherent_cost(pattern, gram, SIZES, predictor, 0.0) == pytest.approx(plans.costs[count], abs=1e-12)
        error = whole_error(pattern, rows, predictor)
        assert coherent_cost(pattern, gram, SIZES, predictor, 1.0) == pytest.approx(error @ error, abs=1e-12)


def test_exchanges_never_make_a_pattern_worse_and_keep_its_count_and_gap(residuals):
    for seed in range(5):
        rows = residuals(12, seed)
        gram = rows @ rows.T
        start = plan_all(gram, SIZES, Taylor(), 3).pattern(5)
        found = exchanged(start, gram, SIZES, Taylor(), 3, 0.5)
        before, after = (coherent_cost(pattern, gram, SIZES, Taylor(), 0.5) for pattern in (start, found))
        assert after <= before
        assert (found[0], found.count("X")) == ("X", 5)
        assert "." * 4 not in found


def test_coherence_is_a_parameter_of_the_plan(measured):
    run = cachekit.Run(30, Reuse())
    plain, coherent = (GramCache(coherence=c, **measured(30)) for c in (0.0, 1.0))
    assert plain.plan(run) != coherent.plan(run)
    assert coherent.plan(run).count("X") == 12
