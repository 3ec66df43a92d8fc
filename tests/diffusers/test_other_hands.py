"""Siblings, copies and callbacks: what others do with an enabled pipeline's parts, and with itself."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import diffusers
import pytest
import torch
from zoo.checks import SkipAllButFirst, attributes
from zoo.pipelines import PIPELINES
from zoo.pipelines.wan import call_of_its_own, unipc
from zoo.pipes import quiet

import cachekit

WAN, FLUX = PIPELINES["wan"], PIPELINES["flux"]
VIDEO = PIPELINES["wan_video_to_video"]
SETTING = {"strategy": "uniform", "computed": 3}


class StopError(Exception):
    pass


def stop_at(step: int) -> Any:
    def stop(pipe: Any, index: int, timestep: object, given: dict[str, Any]) -> dict[str, Any]:
        if index == step:
            raise StopError
        return {}

    return stop


def sibling_with_its_own_scheduler(pipe: Any) -> Any:
    parts = {name: part for name, part in pipe.components.items() if name != "transformer_2"}
    return quiet(diffusers.WanVideoToVideoPipeline(**parts | {"scheduler": unipc()}))


@pytest.mark.parametrize("before", ["nothing", "a run", "a run that raised"])
def test_a_sibling_with_a_scheduler_of_its_own_is_the_bare_one(before):
    """Its steps are not the enabled pipeline's, so none of them is skipped for it."""
    pipe = WAN.make()
    sibling = sibling_with_its_own_scheduler(pipe)
    bare = VIDEO.run(sibling)
    with cachekit.enable(pipe, SkipAllButFirst()):
        if before == "a run":
            WAN.run(pipe)
        elif before == "a run that raised":
            with pytest.raises(StopError):
                WAN.run(pipe, callback_on_step_end=stop_at(2))
        assert torch.equal(VIDEO.run(sibling), bare)


def test_two_pipelines_that_share_a_transformer_are_enabled_one_at_a_time():
    pipe = WAN.make()
    sibling = sibling_with_its_own_scheduler(pipe)
    bare = VIDEO.run(sibling)
    with cachekit.enable(pipe, **SETTING), pytest.raises(cachekit.CachekitError, match="at work already"):
        cachekit.enable(sibling, **SETTING)
    with cachekit.enable(sibling, SkipAllButFirst()) as enabled:
        assert not torch.equal(VIDEO.run(sibling), bare)
        assert enabled.trace.pattern == "X..."
    assert torch.equal(VIDEO.run(sibling), bare)


def test_a_transformer_called_before_any_run_is_the_bare_one():
    pipe = WAN.make()
    given = call_of_its_own()
    bare = pipe.transformer(**given)[0]
    with cachekit.enable(pipe, SkipAllButFirst()) as enabled:
        for _ in range(3):
            assert torch.equal(pipe.transformer(**given)[0], bare)
        assert enabled.trace.pattern == ""


def test_disable_in_the_middle_leaves_the_rest_of_the_run_bare():
    pipe = WAN.make()
    WAN.run(pipe)
    before = attributes([pipe, pipe.transformer])
    enabled = cachekit.enable(pipe, SkipAllButFirst())

    def disable(pipe: Any, index: int, timestep: object, given: dict[str, Any]) -> dict[str, Any]:
        if index == 2:
            cachekit.disable(pipe)
        return {}

    WAN.run(pipe, callback_on_step_end=disable)
    assert enabled.trace.pattern == "X.."
    assert enabled.held_bytes == 0
    assert attributes([pipe, pipe.transformer]) == before
    assert torch.equal(WAN.run(pipe), WAN.run(WAN.make()))


def test_enabling_in_the_middle_begins_with_a_computed_step():
    pipe = WAN.make()
    found = []

    def enable(pipe: Any, index: int, timestep: object, given: dict[str, Any]) -> dict[str, Any]:
        if index == 1:
            found.append(cachekit.enable(pipe, SkipAllButFirst()))
        return {}

    WAN.run(pipe, callback_on_step_end=enable)
    (enabled,) = found
    computed = [branch.pattern.replace("_", "")[0] for branch in enabled.trace.branches]
    assert computed == ["X", "X"]
    WAN.run(pipe)
    assert enabled.trace.pattern == "X....."
    enabled.disable()


@pytest.mark.parametrize("how", [copy.deepcopy, lambda pipe: pickle.loads(pickle.dumps(pipe))], ids=["deep", "pickle"])
def test_a_copy_of_an_enabled_pipeline_is_bare_and_may_be_enabled(how):
    pipe = WAN.make()
    bare = WAN.run(pipe)
    with cachekit.enable(pipe, SkipAllButFirst()) as enabled:
        made = WAN.run(pipe)
        twin = how(pipe)
        assert torch.equal(WAN.run(twin), bare)
        with cachekit.enable(twin, **SETTING) as other:
            WAN.run(twin)
            assert other.trace.pattern == "X.X..X"
        assert torch.equal(WAN.run(pipe), made)
        assert len(enabled.traces) == 2


def test_a_saved_enabled_pipeline_is_bare(tmp_path):
    from cachekit.diffusers.tiny import tiny_pipeline

    pipe = quiet(tiny_pipeline("flux"))
    asked = {"prompt": "a fox", "height": 32, "width": 32, "num_inference_steps": 4, "output_type": "latent"}
    asked |= {"max_sequence_length": 32, "return_dict": False}

    def run(pipe: Any) -> torch.Tensor:
        return pipe(**asked, generator=torch.Generator().manual_seed(0))[0]

    bare = run(pipe)
    with cachekit.enable(pipe, SkipAllButFirst()):
        skipped = run(pipe)
        pipe.save_pretrained(tmp_path)
    loaded = run(quiet(diffusers.DiffusionPipeline.from_pretrained(tmp_path)))
    assert torch.allclose(loaded, bare, atol=1e-5)
    assert not torch.allclose(skipped, bare, atol=1e-4)


@pytest.mark.parametrize("steps", [1, 2])
def test_a_run_of_hardly_any_steps(steps):
    pipe = WAN.make()
    with cachekit.enable(pipe, SkipAllButFirst()) as enabled:
        WAN.run(pipe, steps=steps)
        assert enabled.trace.pattern == "X" + "." * (steps - 1)
        assert len(enabled.traces) == 1


def test_a_pipeline_called_again_and_again_holds_nothing_between():
    pipe = FLUX.make()
    with cachekit.enable(pipe, "uniform", computed=3, predictor="taylor") as enabled:
        for size in (1, 2, 1):
            FLUX.run(pipe, size=size)
            assert enabled.held_bytes == 0
        assert len(enabled.traces) == 3


def test_skip_layer_guidance_that_leaves_out_the_last_block_is_computed_and_said():
    """SD3's third call leaves out blocks: where the last is one, nothing could answer for those skipped."""
    entry = PIPELINES["sd3_skip_layer"]
    pipe = entry.make()
    last = len(pipe.transformer.transformer_blocks) - 1
    asked = {"skip_guidance_layers": [last], "skip_layer_guidance_start": 0.0, "skip_layer_guidance_stop": 1.0}
    bare = entry.run(pipe, **asked)
    with cachekit.enable(pipe, "none"):
        assert torch.equal(entry.run(pipe, **asked), bare)
    with cachekit.enable(pipe, SkipAllButFirst()) as enabled:
        with pytest.warns(cachekit.CachekitWarning, match=f"leaves out block {last}"):
            made = entry.run(pipe, **asked)
        patterns = {branch.pattern for branch in enabled.trace.branches}
        assert patterns == {"X.....", "_XXXXX"}
        assert torch.equal(entry.run(pipe, **asked), made)


class EightBits(torch.nn.Module):
    """A linear layer whose weights are kept as int8 with a scale a row, as weight-only quantisation keeps them."""

    def __init__(self, linear: torch.nn.Linear) -> None:
        super().__init__()
        scale = linear.weight.abs().amax(dim=1, keepdim=True) / 127
        self.register_buffer("scale", scale)
        self.register_buffer("packed", (linear.weight / scale).round().to(torch.int8))
        self.bias = linear.bias

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.linear(inputs, self.packed.to(inputs.dtype) * self.scale, self.bias)


def quantise(module: torch.nn.Module) -> None:
    for name, child in list(module.named_children()):
        if isinstance(child, torch.nn.Linear):
            setattr(module, name, EightBits(child))
        else:
            quantise(child)


@pytest.mark.parametrize("order", ["before", "after"])
def test_weights_of_eight_bits_are_followed(order):
    pipe = WAN.make()
    bare = WAN.run(pipe)
    if order == "before":
        quantise(pipe.transformer.blocks)
    with cachekit.enable(pipe, "uniform", computed=6) as enabled:
        if order == "after":
            WAN.run(pipe)
            quantise(pipe.transformer.blocks)
        eight = WAN.run(pipe)
        assert enabled.trace.pattern == "XXXXXX"
    assert torch.equal(WAN.run(pipe), eight)
    assert not torch.equal(eight, bare)
    with cachekit.enable(pipe, **SETTING) as enabled:
        WAN.run(pipe)
        assert enabled.trace.pattern == "X.X..X"
