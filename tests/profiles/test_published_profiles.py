"""Profiles that ship: they load, name their source, and fit one model each."""

from __future__ import annotations

import pytest

from cachekit.attaching.attach import all_profiles
from cachekit.errors import CachekitError
from cachekit.interface.strategy import Run
from cachekit.profiles.profile import check_fits, choose_profile
from cachekit.registry.plugins import get_plugins

SHIPPED = [profile for profile in all_profiles(get_plugins()) if not profile.evidence]


def test_every_published_model_has_its_profiles() -> None:
    assert {(profile.strategy, profile.model.name) for profile in SHIPPED} >= {
        *((s, m) for s in ("magcache", "teacache") for m in ("Open-Sora 1.2", "HunyuanVideo", "FLUX.1-dev")),
        *((s, f"Wan 2.1 T2V {size}") for s in ("magcache", "teacache") for size in ("1.3B", "14B")),
        ("teacache", "CogVideoX-2b"),
        ("teacache", "CogVideoX-5b"),
    }


@pytest.mark.parametrize("profile", SHIPPED, ids=lambda p: f"{p.strategy}-{p.model.name}")
def test_a_published_profile_names_its_source_and_makes_a_strategy(profile) -> None:  # type: ignore[no-untyped-def]
    assert profile.made["source"].startswith("github.com/")
    kind = get_plugins().strategies[profile.strategy].value
    strategy = kind(**profile.values)
    if profile.strategy == "magcache":
        for branch in range(2 if isinstance(profile.values["ratios"][0], list) else 1):
            plan = strategy.plan(Run(steps=profile.steps, predictor=None, branch=branch))  # type: ignore[arg-type]
            assert 0 < plan.count(".") < profile.steps


def test_no_two_profiles_of_a_strategy_fit_one_model() -> None:
    keys = [
        (profile.strategy, profile.model.digest, profile.steps, str(sorted(profile.model.requires.items())))
        for profile in SHIPPED
    ]
    assert len(set(keys)) == len(keys)


def test_a_profile_is_found_by_the_models_sizes_and_refused_by_other_sizes() -> None:
    sizes = {"depth": 30, "in_channels": 16, "hidden_size": 1536}
    found = choose_profile(SHIPPED, "magcache", sizes, steps=50)
    assert found is not None
    assert found.model.name == "Wan 2.1 T2V 1.3B"
    assert choose_profile(SHIPPED, "magcache", {**sizes, "depth": 31}, steps=50) is None
    with pytest.raises(CachekitError, match=r"made for Wan 2.1 T2V 1.3B"):
        check_fits(found, "magcache", "WanModel", {**sizes, "depth": 31})
