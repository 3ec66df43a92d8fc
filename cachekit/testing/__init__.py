"""An author's checks: whether a strategy, predictor or adapter keeps what the interface asks, in a test of one line.

    def test_my_strategy_keeps_the_interface():
        cachekit.testing.check_strategy(MyStrategy)

Each raises AssertionError with a sentence that says what is not kept. They run on a small seeded transformer, in
seconds and without a GPU.
"""

from cachekit.testing.adapters import check_adapter as check_adapter
from cachekit.testing.model import SmallAdapter as SmallAdapter
from cachekit.testing.model import SmallTransformer as SmallTransformer
from cachekit.testing.model import denoise as denoise
from cachekit.testing.predictors import check_predictor as check_predictor
from cachekit.testing.strategies import check_strategy as check_strategy

__all__ = ["SmallAdapter", "SmallTransformer", "check_adapter", "check_predictor", "check_strategy", "denoise"]
