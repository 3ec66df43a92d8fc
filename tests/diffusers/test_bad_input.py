"""What can't work is refused in one sentence that says what to do."""

from __future__ import annotations

from typing import Any

import diffusers
import pytest
import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from torch import nn
from zoo.models import MODELS
from zoo.parts import build
from zoo.pipelines import PIPELINES
from zoo.pipes import quiet
from zoo.vaes import image_vae

import cachekit


def unet_pipeline() -> Any:
    unet = build(
        diffusers.UNet2DConditionModel,
        {
            "block_out_channels": (4, 8),
            "layers_per_block": 1,
            "sample_size": 8,
            "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
            "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
            "cross_attention_dim": 8,
            "norm_num_groups": 2,
        },
    )
    parts = dict.fromkeys(("text_encoder", "tokenizer", "safety_checker", "feature_extractor"))
    pipe = diffusers.StableDiffusionPipeline(
        **parts, vae=image_vae(), unet=unet, scheduler=diffusers.DDIMScheduler(), requires_safety_checker=False
    )
    return quiet(pipe)


class Tangled(diffusers.ModelMixin, ConfigMixin):
    """A model whose blocks return a tuple made elsewhere."""

    class Block(nn.Module):
        def forward(self, hidden_states, memory):
            return self.both(hidden_states, memory)

        def both(self, hidden_states, memory):
            return hidden_states + 1, memory

    @register_to_config
    def __init__(self, depth: int = 2):
        super().__init__()
        self.blocks = nn.ModuleList(self.Block() for _ in range(depth))

    def forward(self, hidden_states, timestep):
        memory = hidden_states
        for block in self.blocks:
            hidden_states, memory = block(hidden_states, memory)
        return hidden_states + memory


class Listless(Tangled):
    """A model whose blocks stand in no list that diffusers uses."""

    def __init__(self):
        super().__init__()
        self.stages = self.blocks
        del self.blocks


def refused(call: Any) -> str:
    with pytest.raises(cachekit.CachekitError) as caught:
        call()
    said = str(caught.value)
    assert "\n" not in said
    return said


def test_a_pipeline_without_a_transformer():
    said = refused(lambda: cachekit.enable(unet_pipeline(), "uniform"))
    assert "StableDiffusionPipeline has no transformer (it has vae, unet)" in said


def test_what_is_no_pipeline():
    assert "takes a diffusers pipeline" in refused(lambda: cachekit.enable(MODELS["wan"].make(), "uniform"))


@pytest.mark.parametrize(
    ("kind", "reason"), [(Tangled, "which of its arguments a Block returns"), (Listless, "no list")]
)
def test_a_class_whose_structure_can_not_be_told_is_refused_by_name(kind, reason):
    said = refused(lambda: cachekit.attach(kind(), "uniform", steps=4))
    assert f"the structure of {kind.__name__} is unknown" in said
    assert reason in said
    assert "register it, or give it to `cachekit.attach` as `adapter=`" in said


def test_an_unknown_strategy_and_parameter():
    pipe = PIPELINES["wan"].make()
    assert "did you mean 'magcache'" in refused(lambda: cachekit.enable(pipe, "magcahce"))
    assert "did you mean 'computed'" in refused(lambda: cachekit.enable(pipe, "uniform", computd=3))


def test_a_strategy_whose_probe_is_missing():
    pipe = PIPELINES["bria"].make()
    said = refused(lambda: cachekit.enable(pipe, "teacache", coefficients=[1.0]))
    assert "asks for the probe 'modulated_input'" in said


def test_a_strategy_without_a_profile_for_this_model():
    said = refused(lambda: cachekit.enable(PIPELINES["wan"].make(), "magcache"))
    assert "needs ratios" in said
    assert "calibrate" in said


def test_a_profile_that_is_none():
    said = refused(lambda: cachekit.enable(PIPELINES["wan"].make(), "magcache", profile=3))
    assert said == "the profile must be a file's path or a Profile object, not 3"


def test_a_group_that_is_none():
    pipe = PIPELINES["wan"].make()
    assert "group must be a torch.distributed.ProcessGroup" in refused(lambda: cachekit.enable(pipe, "none", group=3))
    attached = refused(lambda: cachekit.attach(pipe.transformer, "none", steps=4, group="all"))
    assert attached.endswith("not 'all'")


def test_enabling_twice():
    pipe = PIPELINES["wan"].make()
    with cachekit.enable(pipe, "none"):
        assert "at work already" in refused(lambda: cachekit.enable(pipe, "uniform"))
    with cachekit.attach(pipe.transformer, "none", steps=4):
        assert "at work already" in refused(lambda: cachekit.enable(pipe, "uniform"))


@pytest.mark.parametrize("told", ["steps", "calls_per_step", "timesteps"])
def test_what_the_pipeline_knows_better(told):
    said = refused(lambda: cachekit.enable(PIPELINES["wan"].make(), "uniform", **{told: 3}))
    assert f"{told}= is for `cachekit.attach`" in said
    assert "num_inference_steps" in said


def test_a_plan_that_does_not_fit_the_run_is_refused_at_the_run_and_the_next_is_fine():
    entry = PIPELINES["wan"]
    pipe = entry.make()
    with cachekit.enable(pipe, "fixed", pattern="X.X.") as enabled:
        assert "4" in refused(lambda: entry.run(pipe, steps=6))
        entry.run(pipe, steps=4)
        assert enabled.trace.pattern == "X.X."


def test_vace_with_a_hint_after_its_last_block():
    model = MODELS["wan_vace"]
    last = build(model.kind, model.config | {"vace_layers": [0, 3]})
    said = refused(lambda: cachekit.attach(last, "uniform", steps=4))
    assert "adds a hint after block 3 (vace_layers)" in said


def test_a_whole_call_that_returns_sound_too_has_no_residual():
    class Whole(cachekit.Strategy):
        scope = "forward"

        def should_compute(self, step: cachekit.Step) -> bool:
            return step.index == 0

    entry = MODELS["ltx2"]
    model = entry.make()
    with cachekit.attach(model, Whole(), steps=2):
        assert "returned 2 tensors" in refused(lambda: model(**entry.arguments(1.0)))


def test_a_failed_enable_leaves_nothing_behind():
    pipe = PIPELINES["wan22"].make()
    before = [set(vars(part)) for part in (pipe, pipe.transformer, pipe.transformer_2)]
    refused(lambda: cachekit.enable(pipe, "magcache"))
    assert [set(vars(part)) for part in (pipe, pipe.transformer, pipe.transformer_2)] == before
    assert torch.isfinite(PIPELINES["wan22"].run(pipe)).all()
