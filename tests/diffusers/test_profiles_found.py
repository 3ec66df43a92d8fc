"""Shipped profiles are found by a pipeline's transformer, and what sizes leave in doubt is said."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import diffusers
import pytest
from accelerate import init_empty_weights

import cachekit
from cachekit.attaching.attach import all_profiles, resolve_strategy
from cachekit.diffusers.adapter import DiffusersAdapter
from cachekit.registry.plugins import get_plugins

WAN_1_3B = {"num_attention_heads": 12, "attention_head_dim": 128, "num_layers": 30, "in_channels": 16}
WAN_14B = {"num_attention_heads": 40, "attention_head_dim": 128, "num_layers": 40, "in_channels": 16}
COGVIDEOX_5B = {"num_attention_heads": 48, "num_layers": 42, "in_channels": 16}
PUBLISHED: dict[str, tuple[type, dict[str, Any]]] = {
    "Wan-AI/Wan2.1-T2V-1.3B-Diffusers": (diffusers.WanTransformer3DModel, WAN_1_3B),
    "Wan-AI/Wan2.1-T2V-14B-Diffusers": (diffusers.WanTransformer3DModel, WAN_14B),
    "hunyuanvideo-community/HunyuanVideo": (diffusers.HunyuanVideoTransformer3DModel, {}),
    "black-forest-labs/FLUX.1-dev": (diffusers.FluxTransformer2DModel, {"guidance_embeds": True}),
    "zai-org/CogVideoX-5b": (diffusers.CogVideoXTransformer3DModel, COGVIDEOX_5B),
}
"""Checkpoints as their config.json has them (the rest is the class's default)."""


def transformer(checkpoint: str, kind: type | None = None, **sizes: object) -> Any:
    """The published transformer without its weights, as it is named once loaded."""
    if kind is None:
        kind, sizes = PUBLISHED[checkpoint]
    with init_empty_weights():
        model = kind(**sizes)
    model.register_to_config(_name_or_path=f"/cache/models--{checkpoint.replace('/', '--')}/snapshots/0/transformer")
    return model


def resolve(model: Any, strategy: str, **traits: object) -> tuple[cachekit.Strategy, list[str]]:
    """The strategy as `enable` resolves it, and the warnings given."""
    adapter = DiffusersAdapter()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = resolve_strategy(
            strategy,
            {},
            get_plugins(),
            type(model).__name__,
            adapter.architecture(model),
            steps=50,
            traits=adapter.traits(model) | traits,
        )
    return found, [str(warning.message) for warning in caught if warning.category is cachekit.CachekitWarning]


@pytest.mark.parametrize("checkpoint", [name for name in PUBLISHED if "CogVideoX" not in name])
@pytest.mark.parametrize("strategy", ["magcache", "teacache"])
def test_the_profile_of_a_published_checkpoint_is_found_without_a_word(checkpoint, strategy):
    found, told = resolve(transformer(checkpoint), strategy, boundary_ratio=None)
    assert (found.ratios if strategy == "magcache" else found.coefficients) is not None
    assert told == []


def test_cogvideox_has_its_coefficients_and_watches_the_time_embedding():
    found, told = resolve(transformer("zai-org/CogVideoX-5b"), "teacache")
    assert (found.probe, told) == ("time_embedding", [])


def test_wan_2_2_has_the_sizes_of_2_1_and_its_own_profile():
    model = transformer(
        "Wan-AI/Wan2.2-T2V-A14B-Diffusers", *PUBLISHED["Wan-AI/Wan2.1-T2V-14B-Diffusers"][:1], **WAN_14B
    )
    first, _ = resolve(transformer("Wan-AI/Wan2.1-T2V-14B-Diffusers"), "magcache", boundary_ratio=None)
    second, told = resolve(model, "magcache", boundary_ratio=0.875)
    assert second.ratios != first.ratios
    assert told == []


def test_what_belongs_to_wan_2_1_alone_is_not_taken_for_wan_2_2():
    model = transformer("Wan-AI/Wan2.2-T2V-A14B-Diffusers", diffusers.WanTransformer3DModel, **WAN_14B)
    with pytest.raises(cachekit.CachekitError, match=r"needs coefficients.*cachekit calibrate teacache"):
        resolve(model, "teacache", boundary_ratio=0.875)


def test_a_checkpoint_that_is_not_known_gets_a_warning_that_names_the_profile_and_how_to_calibrate():
    model = transformer("somebody/wan-finetune", diffusers.WanTransformer3DModel, **WAN_1_3B)
    found, told = resolve(model, "magcache", boundary_ratio=None)
    assert found.ratios is not None
    assert len(told) == 1
    assert "Wan 2.1 T2V 1.3B" in told[0]
    assert "cachekit calibrate magcache" in told[0]


def test_a_model_of_the_same_sizes_and_another_class_is_another_model():
    model = transformer("somebody/skyreels", diffusers.SkyReelsV2Transformer3DModel, **WAN_1_3B)
    with pytest.raises(cachekit.CachekitError, match="needs ratios"):
        resolve(model, "magcache")


def test_flux_kontext_is_told_from_flux_dev_by_its_name():
    sizes = {"guidance_embeds": True}
    dev, _ = resolve(transformer("black-forest-labs/FLUX.1-dev"), "magcache")
    kontext, told = resolve(
        transformer("black-forest-labs/FLUX.1-Kontext-dev", diffusers.FluxTransformer2DModel, **sizes), "magcache"
    )
    assert kontext.ratios != dev.ratios
    assert told == []


def test_every_shipped_profile_of_a_diffusers_model_names_its_source():
    for profile in all_profiles(get_plugins()):
        if hasattr(diffusers, profile.model.transformer):
            assert "source" in profile.made, profile.model.name


def test_a_profile_of_another_family_is_refused(tmp_path: Path):
    from zoo.pipelines import PIPELINES

    ltx, wan = PIPELINES["ltx"].make(), PIPELINES["wan"].make()
    with cachekit.calibrating(ltx, "magcache") as measured:
        PIPELINES["ltx"].run(ltx)
    measured.profile().save(tmp_path / "ltx.json")
    assert json.loads((tmp_path / "ltx.json").read_text())["steps"] == 6
    with pytest.raises(cachekit.CachekitError, match=r"made for .*not for"):
        cachekit.enable(wan, "magcache", profile=tmp_path / "ltx.json")
