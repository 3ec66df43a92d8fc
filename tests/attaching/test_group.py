"""Two processes that share one generation's tokens decide alike, as one process does."""

import pytest
import torch
import torch.distributed as dist
from ranks import RANKS, TOKENS, generate, strategies, work
from together import what_ranks_find

pytestmark = pytest.mark.skipif(not dist.is_available() or not dist.is_gloo_available(), reason="torch without gloo")


@pytest.fixture(scope="module")
def together():
    """What each of two ranks found."""
    return what_ranks_find(work, RANKS, seconds=120)


@pytest.mark.parametrize("name", strategies())
def test_ranks_decide_alike_and_as_one_process(together, name):
    pattern, latents = generate(slice(None), None, strategies()[name])
    assert together[0][name][0] == together[1][name][0] == pattern
    assert "." in pattern
    assert "X" in pattern[1:]
    joined = torch.cat([torch.tensor(together[rank][name][1]) for rank in range(RANKS)], dim=1)
    torch.testing.assert_close(joined, latents, rtol=0, atol=1e-5)


def test_alone_the_ranks_would_not_agree():
    share = TOKENS // RANKS
    alone = {generate(slice(rank * share, (rank + 1) * share), None, strategies()["drift"])[0] for rank in range(RANKS)}
    assert len(alone) == RANKS
