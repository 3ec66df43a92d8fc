"""Every shipped strategy and predictor keeps the interface, as its author would check it."""

import pytest

from cachekit.registry.plugins import get_plugins
from cachekit.testing import check_predictor, check_strategy

GIVEN = {
    "fixed": {"pattern": "XXX..X..X..X"},
    "uniform": {"computed": 5},
    "gramcache": {"computed": 5},
    "adacache": {"inner": 3},
    "cem": {"computed": 5, "interval": 2},
    "dpcache": {"computed": 5},
    "lemica": {"computed": 5},
    "budcache": {"computed": 5},
    "meancache": {"computed": 5},
}
"""Parameters without which a strategy refuses the 12 steps of a check."""
STRATEGIES = [
    registration.name for registration in get_plugins().strategies if registration.plugin.module.startswith("cachekit_")
]
PREDICTORS = [registration.name for registration in get_plugins().predictors]


@pytest.mark.parametrize("name", STRATEGIES)
def test_strategy(name):
    check_strategy(get_plugins().strategies[name].value, **GIVEN.get(name, {}))


@pytest.mark.parametrize("name", PREDICTORS)
def test_predictor(name):
    check_predictor(get_plugins().predictors[name].value)
