"""The plan: the best of all patterns, in a moment."""

import itertools
import math
import time

import numpy as np
import pytest
from cachekit_gramcache import GramCache
from cachekit_gramcache.planning import plan_all

import cachekit
from cachekit.predictors import Reuse, Taylor

PREDICTORS = [Reuse(), Taylor(order=0), Taylor(order=1), Taylor(order=2)]


def error(pattern, rows, sizes, predictor):
    """Σ ‖E‖² of a pattern, from the residuals themselves and what the predictor would put in their place."""
    total, gathered, kept = 0.0, np.zeros(rows.shape[1]), []
    for step, mark in enumerate(pattern):
        if mark == "X":
            total, gathered = total + gathered @ gathered, np.zeros(rows.shape[1])
            kept = [*kept, step][-predictor.history :]
        else:
            predicted = sum(w * rows[j] for w, j in zip(predictor.weights(kept, step), kept, strict=True))
            gathered += sizes[step] * (rows[step] - predicted)
    return total + gathered @ gathered


def patterns(steps, max_gap):
    """Every pattern that begins computed and leaves no stretch longer than `max_gap`."""
    for rest in itertools.product("X.", repeat=steps - 1):
        pattern = "X" + "".join(rest)
        if "." * (max_gap + 1) not in pattern:
            yield pattern


@pytest.mark.parametrize("predictor", PREDICTORS, ids=str)
@pytest.mark.parametrize(("steps", "max_gap"), [(8, 6), (9, 3), (10, 2)])
def test_every_count_gets_the_best_of_all_patterns(residuals, predictor, steps, max_gap):
    rows = residuals(steps, seed=steps)
    sizes = np.random.default_rng(1).uniform(0.5, 2, steps) / steps
    plans = plan_all(rows @ rows.T, sizes, predictor, max_gap)
    best = {}
    for pattern in patterns(steps, max_gap):
        count, cost = pattern.count("X"), error(pattern, rows, sizes, predictor)
        best[count] = min(best.get(count, (math.inf, "")), (cost, pattern))
    for count in range(1, steps + 1):
        if count not in best:
            assert math.isinf(plans.costs[count])
            continue
        cost, pattern = best[count]
        assert plans.costs[count] == pytest.approx(cost, rel=1e-9, abs=1e-12)
        assert plans.pattern(count) == pattern


def test_fifty_steps_are_planned_within_a_second(residuals):
    rows = residuals(50)
    began = time.process_time()
    plan_all(rows @ rows.T, np.full(50, 0.02), Taylor(order=1), 6)
    assert time.process_time() - began < 1.0


def test_as_many_steps_are_computed_as_asked(measured):
    for computed in (6, 9, 17, 30):
        plan = GramCache(computed=computed, **measured(30)).plan(cachekit.Run(30, Taylor()))
        assert (len(plan), plan.count("X"), plan[0]) == (30, computed, "X")


def test_the_speedup_is_reached_where_no_count_is_given(measured):
    run = cachekit.Run(30, Taylor())
    assert GramCache(**measured(30)).plan(run).count("X") == 12
    assert GramCache(speedup=2.0, **measured(30)).plan(run).count("X") == 15
    assert GramCache(speedup=2.2, **measured(30)).plan(run).count("X") == 13
    assert GramCache(speedup=1.0, **measured(30)).plan(run) == "X" * 30


def test_no_stretch_is_longer_than_max_gap(measured):
    plan = GramCache(computed=10, max_gap=2, **measured(30)).plan(cachekit.Run(30, Taylor()))
    assert max(map(len, plan.split("X"))) == 2


def test_the_plan_follows_the_predictor(measured):
    strategy = GramCache(computed=8, **measured(30))
    assert strategy.plan(cachekit.Run(30, Reuse())) != strategy.plan(cachekit.Run(30, Taylor()))


def test_the_outlook_tells_the_error_of_each_count_and_falls_to_nothing(measured):
    run = cachekit.Run(20, Taylor())
    outlook = GramCache(**measured(20)).outlook(run)
    errors = [row[outlook.columns.index("predicted error %")] for row in outlook.rows]
    assert [row[0] for row in outlook.rows] == list(range(3, 21))
    assert errors == sorted(errors, reverse=True)
    assert errors[0] > 0
    assert errors[-1] == 0
    assert all(row[-1].count("X") == row[0] for row in outlook.rows)


def test_a_run_follows_the_plan(transformer, run, measured):
    with cachekit.attach(transformer, "gramcache", steps=12, computed=5, **measured(12)) as session:
        run(12)
    assert session.trace.pattern == GramCache(computed=5, **measured(12)).plan(cachekit.Run(12, Taylor()))
    assert isinstance(session.predictor, Taylor)
