"""`cachekit bench`: what it measures. Times depend on the machine, so none is asserted."""

import contextlib

import pytest
import torch

from cachekit.attaching.benchmark import Timings, held_by, interleave, loop_ratio, step_timings, without_blocks


@pytest.fixture
def model_call(transformer):
    x, t, y = torch.randn(1, 6, 4), torch.tensor([500.0]), torch.randn(1, 3, 16)
    return lambda: transformer(x, t, y)


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
    timings = step_timings(transformer, model_call, rounds=4)
    assert {name: len(rounds) for name, rounds in timings.rounds.items()} == dict.fromkeys(
        ("bare", "computed", "skipped", "floor"), 4
    )
    assert "forward" not in transformer.spatial_blocks[0].__dict__


def test_ways_take_turns_in_being_first():
    order = []

    def way(name):
        return lambda: contextlib.nullcontext(order.append(name))

    interleave(lambda: None, {"a": way("a"), "b": way("b")}, rounds=4, warmup=0)
    assert order == ["a", "b", "b", "a", "a", "b", "b", "a"]


def test_ratios_are_medians_of_paired_rounds():
    timings = Timings({"bare": [10.0, 20.0, 30.0], "floor": [1.0, 2.0, 3.0], "attached": [5.0, 12.0, 15.0]})
    assert timings.ratio("attached", "bare") == 0.5
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
