"""The papers' table, as the file that ships asks for it."""

import json
import math
import sys
from pathlib import Path

import pytest
from cachekit_magcache import MagCache
from cachekit_predictors import Reuse
from cachekit_teacache import TeaCache

from cachekit.interface.strategy import Run
from cachekit.registry.parameters import parse_spec

CONFIG = Path(__file__).parents[3] / "configs" / "opensora-papers.toml"


@pytest.fixture
def config():
    if sys.version_info < (3, 11):
        pytest.skip("tomllib came with Python 3.11")
    import tomllib

    return tomllib.loads(CONFIG.read_text(encoding="utf-8"))


def strategies(config):
    kinds = {"magcache": MagCache, "teacache": TeaCache}
    specs = [parse_spec(text) for text in config["strategy"]]
    return [kinds[name](**{key: json.loads(value) for key, value in settings.items()}) for name, settings in specs]


def test_it_names_the_model_the_prompts_and_the_steps(config):
    assert (config["model"], config["prompts"], config["steps"], config["seed"]) == ("opensora", "vbench", 30, 0)


def test_it_has_both_caches_at_both_settings(config):
    slow, fast, mag_slow, mag_fast = strategies(config)
    assert (slow.thresh, fast.thresh) == (0.1, 0.2)
    assert (mag_slow.thresh, mag_slow.K, mag_slow.retention_ratio) == (0.06, 1, 0.2)
    assert (mag_fast.thresh, mag_fast.K, mag_fast.retention_ratio) == (0.12, 3, 0.2)


def test_magcache_computes_18_and_12_steps_under_the_published_ratios(config, data):
    raw = json.loads((data / "golden.json").read_text())["mag_ratios_raw"]
    plans = []
    for strategy in strategies(config)[2:]:
        strategy.ratios = [math.sqrt(ratio) for ratio in raw]
        plans.append(strategy.plan(Run(30, Reuse(), None, 0)))
    assert plans == ["XXXXXX" + ".X" * 12, "XXXXXX" + "...X" * 6]
