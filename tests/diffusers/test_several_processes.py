"""Two processes, one generation: diffusers' context parallelism shares out the tokens, FSDP2 the weights."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.distributed as dist
from several import ORDERS, RANKS, SHARED, STRATEGIES, alone, work
from together import what_ranks_find
from zoo.pipelines import PIPELINES

import cachekit

pytestmark = pytest.mark.skipif(not dist.is_available() or not dist.is_gloo_available(), reason="torch without gloo")


@pytest.fixture(scope="module")
def together() -> dict[int, dict[Any, Any]]:
    """What each of two ranks found."""
    return what_ranks_find(work, RANKS, seconds=400)


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("name", SHARED)
def test_ranks_that_share_the_tokens_make_what_one_process_makes(together, name, strategy):
    pattern, latents = alone(name, strategy)
    for order in ORDERS:
        found = [together[rank][name, strategy, order] for rank in range(RANKS)]
        assert [one[0] for one in found] == [pattern] * RANKS
        for _, made in found:
            torch.testing.assert_close(torch.tensor(made), latents, rtol=0, atol=2e-5)
    assert strategy == "none" or "." in pattern


@pytest.mark.parametrize("order", ORDERS)
def test_a_skipped_step_gathers_no_block_s_weights(together, order):
    """On a computed step each of two branches gathers every block's; the root's are gathered once and stay."""
    blocks = len(PIPELINES["wan"].make().transformer.blocks)
    for rank in range(RANKS):
        found = together[rank]["weights", order]
        assert found["pattern"] == "X.X..X"
        assert found["gathers"] == [2 * blocks + 1, 0, 2 * blocks, 0, 0, 2 * blocks]


@pytest.mark.parametrize("order", ORDERS)
def test_sharded_weights_make_what_whole_ones_make(together, order):
    pipe = PIPELINES["wan"].make()
    bare = PIPELINES["wan"].run(pipe)
    with cachekit.enable(pipe, "uniform", computed=3):
        made = PIPELINES["wan"].run(pipe)
    found = together[0]["weights", order]
    torch.testing.assert_close(torch.tensor(found["latents"]), made, rtol=0, atol=2e-5)
    torch.testing.assert_close(torch.tensor(found["bare"]), bare, rtol=0, atol=2e-5)
