"""The plan: the best of all patterns, in a moment."""

import itertools
import math
import time

import numpy as np
import pytest
from cachekit_gramcache import GramCache
from cachekit_gramcache.planning import plan_all
from cachekit_gramcache.slopes import FittedSlopes
from cachekit_predictors import Reuse, Taylor

import cachekit
from cachekit.interface.predictor import Damped


def error(pattern, rows, scales, sizes, predictor):
    """Σ ‖E‖² of a pattern, from the outputs themselves and what the predictor would make of them."""
    total, gathered, kept = 0.0, np.zeros(rows.shape[1]), []
    for step, mark in enumerate(pattern):
        if mark == "X":
            total, gathered = total + gathered @ gathered, np.zeros(rows.shape[1])
            kept = [*kept, step][-predictor.history :]
        else:
            lengths = [w * scales[j] for w, j in zip(predictor.weights(kept, step), kept, strict=True)]
            predicted = sum(length * rows[j] for length, j in zip(lengths, kept, strict=True))
            gathered += sizes[step] * (rows[step] - predicted / max(sum(lengths), 1e-3 * scales[kept[-1]]))
    return total + gathered @ gathered


def patterns(steps, max_gap, retained):
    """Every pattern that begins with so many computed steps and leaves no stretch longer than `max_gap`."""
    for rest in itertools.product("X.", repeat=steps - retained):
        pattern = "X" * retained + "".join(rest)
        if "." * (max_gap + 1) not in pattern:
            yield pattern


@pytest.mark.parametrize("kind", ["reuse", "taylor 0", "taylor 1", "taylor 2", "damped", "fitted slopes"])
@pytest.mark.parametrize(("steps", "max_gap", "retained"), [(8, 6, 1), (9, 3, 2), (10, 2, 1), (10, 6, 3)])
def test_every_count_gets_the_best_of_all_patterns(rows, scales, outputs, kind, steps, max_gap, retained):
    seen = outputs(steps, seed=steps)
    sizes = np.random.default_rng(1).uniform(0.5, 2, steps) / steps
    predictor = {
        "reuse": Reuse(),
        "damped": Damped(),
        "fitted slopes": FittedSlopes(pull=0.5, outputs=seen, sizes=sizes, noise=np.linspace(1, 0, steps, False)),
        **{f"taylor {order}": Taylor(order=order) for order in range(3)},
    }[kind]
    plans = plan_all(seen, sizes, predictor, max_gap=max_gap, retained=retained)
    best = {}
    for pattern in patterns(steps, max_gap, retained):
        count, cost = pattern.count("X"), error(pattern, rows(steps, steps), scales(steps), sizes, predictor)
        best[count] = min(best.get(count, (math.inf, "")), (cost, pattern))
    for count in range(1, steps + 1):
        if count not in best:
            assert math.isinf(plans.costs[count])
            continue
        cost, pattern = best[count]
        assert plans.costs[count] == pytest.approx(cost, rel=1e-9, abs=1e-12)
        assert plans.pattern(count) == pattern


@pytest.mark.parametrize("euler", [False, True])
def test_fifty_steps_are_planned_within_a_second(measured, euler):
    run = cachekit.Run(50, Damped(), euler=euler)
    began = time.process_time()
    GramCache(**measured(50)).plan(run)
    assert time.process_time() - began < 1.0


def test_as_many_steps_are_computed_as_asked(measured):
    for computed in (7, 9, 17, 30):
        plan = GramCache(computed=computed, **measured(30)).plan(cachekit.Run(30, Taylor()))
        assert (len(plan), plan.count("X"), plan[0]) == (30, computed, "X")


def test_the_speedup_is_reached_where_no_count_is_given(measured):
    run = cachekit.Run(30, Taylor())
    assert GramCache(**measured(30)).plan(run).count("X") == 12
    assert GramCache(speedup=2.0, **measured(30)).plan(run).count("X") == 15
    assert GramCache(speedup=2.2, **measured(30)).plan(run).count("X") == 13
    assert GramCache(speedup=1.0, **measured(30)).plan(run) == "X" * 30


def test_no_stretch_is_longer_than_max_gap(measured):
    plan = GramCache(computed=13, max_gap=2, **measured(30)).plan(cachekit.Run(30, Taylor()))
    assert max(map(len, plan.split("X"))) == 2


def test_the_plan_follows_the_predictor(measured):
    strategy = GramCache(computed=8, **measured(30))
    assert strategy.plan(cachekit.Run(30, Reuse())) != strategy.plan(cachekit.Run(30, Taylor()))


def test_the_plan_counts_on_the_slopes_that_the_run_goes_with(measured, outputs):
    strategy, run = GramCache(computed=9, **measured(30, seed=3)), cachekit.Run(30, Damped())
    options = {"max_gap": 5, "retained": 4}
    fitted = plan_all(strategy.outputs(run), strategy.sizes(run), strategy.fit_predictor(run), **options)
    fixed = plan_all(strategy.outputs(run), strategy.sizes(run), Damped(), **options)
    assert strategy.plan(run) == fitted.pattern(9) != fixed.pattern(9)


def test_a_changed_parameter_makes_another_plan(measured):
    strategy, run = GramCache(computed=12, **measured(30)), cachekit.Run(30, Damped())
    before = strategy.plan(run)
    strategy.computed = 9
    assert strategy.plan(run).count("X") == 9
    strategy.computed, strategy.pull = 12, 1000.0
    run.predictor.slope = 0.0
    assert strategy.plan(run) != before


def test_the_first_steps_are_computed_in_any_case(measured):
    run = cachekit.Run(30, Reuse())
    assert not GramCache(computed=9, retention_ratio=0, **measured(30)).plan(run).startswith("XXX")
    assert GramCache(computed=9, **measured(30)).plan(run).startswith("XXXX")
    assert GramCache(computed=12, retention_ratio=0.2, **measured(30)).plan(run).startswith("XXXXXX")


def test_no_more_than_half_of_the_computed_steps_are_the_first_ones(measured):
    for computed, first in ((6, 3), (5, 2)):
        plan = GramCache(computed=computed, retention_ratio=1, **measured(30)).plan(cachekit.Run(30, Damped()))
        assert (plan.count("X"), plan[: first + 1]) == (computed, "X" * first + ".")


def test_an_early_error_counts_for_more_than_a_late_one(measured):
    strategy, run = GramCache(**measured(4)), cachekit.Run(4, Reuse())
    assert strategy.sizes(run) == pytest.approx([0.25 * level**0.5 for level in (1, 0.75, 0.5, 0.25)])


def test_a_further_step_never_costs_more_within_the_same_bounds(measured):
    outlook = GramCache(max_gap=6, retention_ratio=0, **measured(20)).outlook(cachekit.Run(20, Taylor()))
    errors = [row[outlook.columns.index("predicted error %")] for row in outlook.rows]
    assert errors == sorted(errors, reverse=True)


def test_the_outlook_tells_the_error_of_each_count_and_falls_to_nothing(measured):
    run = cachekit.Run(20, Taylor())
    outlook = GramCache(**measured(20)).outlook(run)
    errors = [row[outlook.columns.index("predicted error %")] for row in outlook.rows]
    assert [row[0] for row in outlook.rows] == list(range(2, 21))
    assert errors[0] == max(errors) > 0
    assert errors[-1] == 0
    assert all(row[-1].count("X") == row[0] for row in outlook.rows)
    strategy = GramCache(**measured(20))
    sizes, gram = strategy.sizes(run), strategy.outputs(run).gram
    share = np.sqrt(strategy.plans(run, **strategy.bounds(run, 7)).costs[7] / (sizes @ gram @ sizes))
    assert errors[5] == pytest.approx(100 * share, rel=5e-3)


def test_a_run_follows_the_plan(transformer, run, measured):
    with cachekit.attach(transformer, "gramcache", steps=12, computed=5, **measured(12)) as session:
        run(12)
    assert session.trace.pattern == GramCache(computed=5, **measured(12)).plan(cachekit.Run(12, Damped()))
    assert isinstance(session.predictor, Damped)
