"""What diffusers and accelerate do to a pipeline, put on before and after `enable`, taken off before and after."""

from __future__ import annotations

import copy
from typing import Any

import diffusers
import pytest
import torch
from accelerate import cpu_offload_with_hook
from accelerate.hooks import ModelHook, add_hook_to_module, remove_hook_from_module
from diffusers.hooks import apply_group_offloading
from peft import LoraConfig
from zoo.checks import SkipAllButFirst
from zoo.models import MODELS
from zoo.parts import seeded
from zoo.pipelines import PIPELINES

import cachekit

WAN, FLUX = PIPELINES["wan"], PIPELINES["flux"]
SETTING = {"strategy": "uniform", "computed": 3}


def lora(pipe: Any) -> None:
    with seeded(7):
        pipe.transformer.add_adapter(LoraConfig(r=2, target_modules=["to_q", "to_k"], init_lora_weights=False))


def fuse(pipe: Any) -> None:
    pipe.transformer.fuse_qkv_projections()


def offload_by_hooks(pipe: Any) -> None:
    """What `enable_model_cpu_offload` puts on each part."""
    cpu_offload_with_hook(pipe.transformer, torch.device("cpu"))


def offload_in_groups(pipe: Any) -> None:
    apply_group_offloading(
        pipe.transformer,
        onload_device=torch.device("cpu"),
        offload_device=torch.device("cpu"),
        offload_type="block_level",
        num_blocks_per_group=1,
    )


def cast_layerwise(pipe: Any) -> None:
    pipe.transformer.enable_layerwise_casting(storage_dtype=torch.bfloat16, compute_dtype=torch.float32)


def halve(pipe: Any) -> None:
    pipe.to(torch.bfloat16)


def quantise(pipe: Any) -> None:
    """Weights as int8 with a scale, as weight-only quantisation keeps them."""
    for module in pipe.transformer.blocks.modules():
        if isinstance(module, torch.nn.Linear):
            scale = module.weight.abs().amax() / 127
            module.weight.data = (module.weight / scale).round().to(torch.int8).float() * scale


def compile_blocks(pipe: Any) -> None:
    pipe.transformer.compile_repeated_blocks(backend="eager")


def compile_whole(pipe: Any) -> None:
    pipe.transformer.compile(backend="eager")


FEATURES = (
    lora,
    fuse,
    offload_by_hooks,
    offload_in_groups,
    cast_layerwise,
    halve,
    quantise,
    compile_blocks,
    compile_whole,
)


@pytest.fixture(autouse=True)
def fresh_dynamo():
    yield
    torch._dynamo.reset()


def run(pipe: Any) -> torch.Tensor:
    """Two prompts' embeddings take the pipeline's type."""
    embeds = torch.Generator().manual_seed(3)
    given = {
        name: torch.randn(1, 12, 16, generator=embeds).to(pipe.transformer.dtype)
        for name in ("prompt_embeds", "negative_prompt_embeds")
    }
    return WAN.run(pipe, **given).float()


@pytest.mark.parametrize("feature", FEATURES, ids=lambda feature: feature.__name__)
@pytest.mark.parametrize("order", ["before", "after"])
def test_a_feature_works_put_on_before_and_after_enabling(feature, order):
    """The same numbers in both orders, near the bare pipeline's with the feature where every step is computed."""
    bare = WAN.make()
    feature(bare)
    expected = run(bare)
    pipe = WAN.make()
    if order == "before":
        feature(pipe)
    enabled = cachekit.enable(pipe, **SETTING)
    if order == "after":
        run(pipe)
        feature(pipe)
    skipped = run(pipe)
    assert enabled.trace.pattern == "X.X..X"
    enabled.disable()
    with cachekit.enable(pipe, "none") as watching:
        assert torch.allclose(run(pipe), expected, atol=1e-4)
        assert watching.trace.pattern == "XXXXXX"
    assert torch.allclose(run(pipe), expected, atol=1e-4)
    reference = WAN.make()
    feature(reference)
    with cachekit.enable(reference, **SETTING):
        assert torch.allclose(run(reference), skipped, atol=1e-4)


def silence(pipe: Any) -> None:
    pipe.transformer.disable_adapters()


def take_off(pipe: Any) -> None:
    pipe.transformer.delete_adapters("default")


def test_lora_may_be_put_on_taken_off_and_scaled_while_enabled():
    pipe, bare = WAN.make(), WAN.make()
    with cachekit.enable(pipe, "none"):
        for change in (lora, silence, take_off):
            change(pipe)
            change(bare)
            assert torch.equal(WAN.run(pipe), WAN.run(bare))


def test_accelerate_s_hooks_are_left_at_work_by_disable():
    class Noting(ModelHook):
        def __init__(self) -> None:
            super().__init__()
            self.calls = 0

        def pre_forward(self, module: torch.nn.Module, *args: Any, **kwargs: Any) -> Any:
            self.calls += 1
            return args, kwargs

    pipe, before, after = WAN.make(), Noting(), Noting()
    add_hook_to_module(pipe.transformer, before, append=True)
    enabled = cachekit.enable(pipe, **SETTING)
    add_hook_to_module(pipe.transformer, after, append=True)
    WAN.run(pipe)
    enabled.disable()
    noted = before.calls, after.calls
    WAN.run(pipe)
    assert (before.calls - noted[0], after.calls - noted[1]) == (12, 12)
    remove_hook_from_module(pipe.transformer)


def test_a_saved_and_a_copied_transformer_are_bare(tmp_path):
    pipe = WAN.make()
    given = MODELS["wan"].arguments(0.5)
    bare = pipe.transformer(**given).sample
    with cachekit.enable(pipe, SkipAllButFirst()):
        WAN.run(pipe)
        twin = copy.deepcopy(pipe.transformer)
        pipe.transformer.save_pretrained(tmp_path)
        torch.save(pipe.transformer, tmp_path / "whole.pt")
        with twin.cache_context("cond"):
            assert torch.equal(twin(**given).sample, bare)
        loaded = diffusers.WanTransformer3DModel.from_pretrained(tmp_path)
        assert torch.equal(loaded(**given).sample, bare)
    whole = torch.load(tmp_path / "whole.pt", weights_only=False)
    assert torch.equal(whole(**given).sample, bare)


@pytest.mark.parametrize("name", ["wan", "flux"])
def test_gradient_checkpointing_and_inference_mode_change_nothing(name):
    entry = PIPELINES[name]
    pipe = entry.make()
    with cachekit.enable(pipe, **SETTING):
        made = entry.run(pipe)
        with torch.inference_mode():
            assert torch.equal(entry.run(pipe), made)
        pipe.transformer.enable_gradient_checkpointing()
        assert torch.equal(entry.run(pipe), made)


def test_diffusers_own_cache_is_refused_whichever_comes_first():
    pipe = WAN.make()
    config = diffusers.FirstBlockCacheConfig(threshold=0.1)
    pipe.transformer.enable_cache(config)
    with pytest.raises(cachekit.CachekitError, match=r"FirstBlockCacheConfig.*disable_cache"):
        cachekit.enable(pipe, **SETTING)
    pipe.transformer.disable_cache()
    with cachekit.enable(pipe, **SETTING) as enabled:
        made = WAN.run(pipe)
        pipe.transformer.enable_cache(config)
        with pytest.raises(cachekit.CachekitError, match=r"FirstBlockCacheConfig.*disable_cache"):
            WAN.run(pipe)
        pipe.transformer.disable_cache()
        assert torch.equal(WAN.run(pipe), made)
        assert enabled.trace.pattern == "X.X..X"


def test_a_call_that_writes_a_key_value_cache_is_computed():
    """FLUX.2 Klein's first call keeps the reference image's keys and values, which the later ones read."""
    entry = PIPELINES["flux2_klein_kv"]
    pipe = entry.make()
    bare = entry.run(pipe)
    with cachekit.enable(pipe, "none"):
        assert torch.equal(entry.run(pipe), bare)
    with cachekit.enable(pipe, SkipAllButFirst()) as enabled:
        made = entry.run(pipe)
        assert enabled.trace.pattern == "XX...."
        assert torch.equal(entry.run(pipe), made)


def test_a_call_that_fills_a_cache_before_the_loop_is_no_step():
    """GLM-Image writes the reference image's keys and values in calls before the loop."""
    from diffusers.models.transformers.transformer_glm_image import GlmImageKVCache

    entry = MODELS["glm_image"]
    model = entry.make()
    writing = GlmImageKVCache(num_layers=3)
    writing.set_mode("write")
    with cachekit.attach(model, SkipAllButFirst(), steps=3) as session:
        model(**entry.arguments(1.0), kv_caches=writing)
        assert session.trace.pattern == ""
        reading = GlmImageKVCache(num_layers=3)
        reading.set_mode("skip")
        for level in (1.0, 0.6, 0.2):
            model(**entry.arguments(level), kv_caches=reading)
        assert session.trace.pattern == "X.."
