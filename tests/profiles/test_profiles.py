"""Profiles: files, digests, and which one a model gets."""

import json

import pytest

import cachekit
from cachekit.opensora.adapter import OpenSoraAdapter
from cachekit.profiles.profile import Profile, ProfiledModel, choose_profile, load_profile


@pytest.fixture
def profile(transformer):
    model = ProfiledModel("OpenSoraLike", OpenSoraAdapter().architecture(transformer))
    return Profile("magcache", model, {"ratios": [1.0] * 9, "thresh": 0.3, "K": 2}, steps=10)


def test_a_saved_profile_reads_back_equal(profile, tmp_path):
    profile.save(tmp_path / "p.json")
    assert load_profile(tmp_path / "p.json") == profile


def test_order_is_defaults_then_profile_then_params(profile, transformer, tmp_path):
    profile.save(tmp_path / "p.json")
    with cachekit.attach(transformer, "magcache", steps=10, profile=tmp_path / "p.json", K=4) as session:
        strategy = session.strategy
    assert (strategy.thresh, strategy.K, strategy.retention_ratio) == (0.3, 4, 0.2)


def test_the_profile_nearest_in_steps_is_taken(profile):
    import attrs

    shorter = attrs.evolve(profile, steps=6)
    architecture = profile.model.architecture
    assert choose_profile([profile, shorter], "magcache", architecture, 7) is shorter
    assert choose_profile([profile, shorter], "magcache", architecture, 50) is profile
    assert choose_profile([profile], "teacache", architecture, 10) is None
    assert choose_profile([profile], "magcache", {"hidden_size": 1}, 10) is None


def test_a_profile_of_another_model_is_refused(profile, stdit3):
    with pytest.raises(cachekit.CachekitError, match=r"was made for OpenSoraLike .* not for STDiT3"):
        cachekit.attach(stdit3, "magcache", steps=10, profile=profile)


def test_a_profile_of_another_strategy_is_refused(profile, transformer):
    with pytest.raises(cachekit.CachekitError, match="for the strategy 'magcache', not for 'teacache'"):
        cachekit.attach(transformer, "teacache", steps=10, profile=profile)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("{", "can't be read as JSON"),
        ("[]", "is no profile of format"),
        ('{"format": "cachekit-profile/1"}', "is damaged"),
    ],
)
def test_a_damaged_profile_is_refused(transformer, tmp_path, content, sentence):
    path = tmp_path / "p.json"
    path.write_text(content)
    with pytest.raises(cachekit.CachekitError, match=sentence):
        cachekit.attach(transformer, "magcache", steps=10, profile=path)


def test_a_profile_whose_digest_is_not_its_architecture_s_is_refused(profile, tmp_path):
    profile.save(tmp_path / "p.json")
    content = json.loads((tmp_path / "p.json").read_text())
    content["model"]["architecture"]["depth"] = 99
    (tmp_path / "p.json").write_text(json.dumps(content))
    with pytest.raises(cachekit.CachekitError, match="digest"):
        load_profile(tmp_path / "p.json")


def test_a_missing_profile_says_how_to_make_one(transformer, tmp_path):
    with pytest.raises(cachekit.CachekitError, match="cachekit calibrate"):
        cachekit.attach(transformer, "magcache", steps=10, profile=tmp_path / "none.json")
