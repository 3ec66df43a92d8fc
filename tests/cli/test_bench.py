"""`cachekit bench`: what it measures. Times depend on the machine, so none is asserted."""

import contextlib

import pytest
import torch

from cachekit.attaching.benchmark import (
    Ratio,
    Timings,
    held_by,
    interleave,
    loop_ratio,
    step_timings,
    twin,
    without_blocks,
)


@pytest.fixture
def model_call(transformer):
    x, t, y = torch.randn(1, 6, 4), torch.tensor([500.0]), torch.randn(1, 3, 16)
    return lambda model=transformer: model(x, t, y)


def test_every_way_runs_its_blocks_or_none(transformer, model_call):
    def calls():
        before = transformer.block_calls()
        model_call()
        return transformer.block_calls() - before

    assert calls() == 4
    with without_blocks(transformer):
        assert calls() == 0
    assert calls() == 4


def test_step_timings_has_every_way_each_round_and_leaves_the_model_bare(transformer, model_call):
    before, done = dict(vars(transformer.spatial_blocks[0])), []
    timings = step_timings(transformer, model_call, model_call, 4, told=lambda *told: done.append(told))
    lengths = {name: len(rounds) for name, rounds in timings.rounds.items()}
    skips = dict.fromkeys(("skipped", "floor", "first skipped", "first floor"), 20)
    assert lengths == {"bare": 4, "computed": 4, "again": 4, **skips}
    assert done == [(n, 7) for n in range(1, 8)] + 2 * [(n, 23) for n in range(1, 24)]
    assert {**vars(transformer.spatial_blocks[0]), "calls": 0} == {**before, "calls": 0}


def test_a_twin_has_the_same_weights_and_modules_of_its_own(transformer):
    other = twin(transformer)
    assert other is not transformer
    assert other.spatial_blocks[0] is not transformer.spatial_blocks[0]
    assert [id(tensor) for tensor in other.parameters()] == [id(tensor) for tensor in transformer.parameters()]


def test_ways_take_turns_in_being_first():
    order = []

    def timed(name):
        return lambda: order.append(name), contextlib.nullcontext

    interleave({"a": timed("a"), "b": timed("b")}, rounds=4, warmup=0)
    assert order == ["a", "b", "b", "a", "a", "b", "b", "a"]


def test_ratios_are_medians_of_paired_rounds():
    timings = Timings({"bare": [10.0, 20.0, 30.0], "floor": [1.0, 2.0, 3.0], "attached": [5.0, 12.0, 15.0]})
    assert timings.ratio("attached", "bare") == Ratio(0.5, 0.5, 0.6)
    assert timings.median("bare") == 20.0
    assert loop_ratio(timings, computed=5, steps=10) == pytest.approx(5 / 5.5)


def test_held_bytes_are_one_residual_for_reuse_and_two_for_taylor(transformer, model_call):
    one = 6 * 16 * 4
    assert [
        (h.predictor, h.bytes, h.residual_bytes) for h in held_by(transformer, model_call, ["reuse", "taylor"])
    ] == [
        ("reuse", one, one),
        ("taylor", 2 * one, one),
    ]


def test_the_bounds_of_a_median_are_the_order_statistics_of_95_in_100():
    timings = Timings({"attached": [100.0 + n for n in range(100)], "bare": [100.0] * 100})
    assert timings.ratio("attached", "bare") == Ratio(1.495, 1.39, 1.6)
