"""The field's settings: each strategy's own predictor beside a named one, and baselines at the counts asked for."""

import pytest

from cachekit.cli.comparing import counts_in
from cachekit.errors import CachekitError
from cachekit.registry.grid import Choice, grid


def test_own_stands_for_each_strategys_own_predictor():
    strategies, damped = [Choice("seacache"), Choice("l2p")], Choice("damped")
    assert grid(strategies, [Choice("own"), damped]) == [
        (strategies[0], None),
        (strategies[0], damped),
        (strategies[1], None),
        (strategies[1], damped),
    ]


def test_counts_of_baselines_are_read():
    assert counts_in("12, 8,10", 30) == {8, 10, 12}
    assert counts_in(None, 30) == set()


@pytest.mark.parametrize("text", ["0", "30", "8,", "eight", "-3"])
def test_counts_that_no_run_of_fewer_steps_has_are_refused(text):
    with pytest.raises(CachekitError, match=r"--baselines must be numbers of steps from 1 to 29 like 12,10,8"):
        counts_in(text, 30)
