"""The pipeline's clock: every later call is followed, and gives what a freshly enabled pipeline gives."""

from __future__ import annotations

from typing import Any

import diffusers
import pytest
import torch
from zoo.checks import SkipAllButFirst, equal
from zoo.pipelines import PIPELINES
from zoo.pipelines.video import cogvideox_of
from zoo.pipelines.wan import call_of_its_own, flow, unipc, wan_of
from zoo.pipes import SmallPipeline, quiet

import cachekit


def fresh(entry: SmallPipeline, **asked: Any) -> torch.Tensor:
    """What this is on a pipeline on which nothing ran before."""
    pipe = entry.make()
    with cachekit.enable(pipe, "uniform", computed=3):
        return entry.run(pipe, **asked)


WAN = PIPELINES["wan"]


@pytest.mark.parametrize(
    "asked",
    [
        {"steps": 9},
        {"steps": 4},
        {"size": 2},
        {"guided": False},
        {"seed": 5},
        {"guidance_scale": 1.5},
        {"num_videos_per_prompt": 2},
        {"num_frames": 9},
    ],
    ids=str,
)
def test_another_call_of_the_same_pipeline_gives_what_a_fresh_one_gives(asked):
    pipe = WAN.make()
    with cachekit.enable(pipe, "uniform", computed=3) as enabled:
        WAN.run(pipe)
        made = WAN.run(pipe, **asked)
        assert torch.equal(made, fresh(WAN, **asked))
        WAN.run(pipe)
        assert len(enabled.traces) == 3
        assert [len(trace.pattern) for trace in enabled.traces] == [6, asked.get("steps", 6), 6]


@pytest.mark.parametrize("strength", [0.3, 0.6, 1.0])
@pytest.mark.parametrize("name", ["flux_image_to_image", "sd3_image_to_image", "wan_video_to_video"])
def test_image_to_image_runs_are_as_long_as_their_strength(name, strength):
    entry = PIPELINES[name]
    pipe = entry.make()
    with cachekit.enable(pipe, SkipAllButFirst()) as enabled:
        entry.run(pipe, steps=10, strength=0.8)
        entry.run(pipe, steps=10, strength=strength)
        assert enabled.trace.pattern == "X" + "." * (round(10 * strength) - 1)


class StopError(Exception):
    pass


@pytest.mark.parametrize("at", [0, 2, 5])
def test_an_exception_in_the_middle_leaves_the_next_run_clean(at):
    pipe = WAN.make()

    def stop(pipe: Any, index: int, timestep: object, given: dict[str, Any]) -> dict[str, Any]:
        if index == at:
            raise StopError
        return {}

    with cachekit.enable(pipe, "uniform", computed=3) as enabled:
        with pytest.raises(StopError):
            WAN.run(pipe, callback_on_step_end=stop)
        assert torch.equal(WAN.run(pipe), fresh(WAN))
        assert [trace.pattern for trace in enabled.traces][-1] == enabled.trace.pattern == "X.X..X"


def test_an_interrupted_run_is_no_finished_one_and_the_next_is_clean():
    pipe = WAN.make()

    def interrupt(pipe: Any, index: int, timestep: object, given: dict[str, Any]) -> dict[str, Any]:
        pipe._interrupt = index == 2
        return {}

    with cachekit.enable(pipe, "uniform", computed=3) as enabled:
        WAN.run(pipe, callback_on_step_end=interrupt)
        assert enabled.trace.pattern == "X.X"
        assert enabled.traces == []
        assert torch.equal(WAN.run(pipe), fresh(WAN))
        assert len(enabled.traces) == 1


def test_a_callback_may_change_the_latents_and_the_guidance():
    pipe, bare = WAN.make(), WAN.make()

    def change(pipe: Any, index: int, timestep: object, given: dict[str, Any]) -> dict[str, Any]:
        if index == 3:
            pipe._guidance_scale = 1.0
        return {"latents": given["latents"] * 1.01}

    with cachekit.enable(pipe, "none") as enabled:
        made = WAN.run(pipe, callback_on_step_end=change)
        assert torch.equal(made, WAN.run(bare, callback_on_step_end=change))
        assert [branch.pattern for branch in enabled.trace.branches] == ["XXXXXX", "XXXX"]


@pytest.mark.parametrize("scheduler", [flow(), unipc(), diffusers.FlowMatchHeunDiscreteScheduler()], ids=type)
def test_a_swapped_scheduler_is_followed(scheduler):
    pipe = WAN.make()
    with cachekit.enable(pipe, "uniform", computed=3) as enabled:
        WAN.run(pipe)
        pipe.scheduler = scheduler
        WAN.run(pipe)
        assert len(enabled.trace.pattern) == len(scheduler.timesteps)
        assert enabled.trace.computed == 3


def test_guidance_that_ends_within_the_run_keeps_the_other_branch_in_step():
    entry = PIPELINES["lumina2"]
    pipe = entry.make()
    with cachekit.enable(pipe, SkipAllButFirst()) as enabled:
        entry.run(pipe, cfg_trunc_ratio=0.5)
        first, second = enabled.trace.branches
        assert (first.pattern, len(second.pattern)) == ("X.....", 3)


def test_guidance_that_begins_within_the_run_is_computed_when_it_does():
    pipe = WAN.make()

    def begin(pipe: Any, index: int, timestep: object, given: dict[str, Any]) -> dict[str, Any]:
        pipe._guidance_scale = 5.0 if index >= 2 else 1.0
        return {}

    with cachekit.enable(pipe, SkipAllButFirst()) as enabled:
        WAN.run(pipe, guidance_scale=1.0, callback_on_step_end=begin)
        assert [branch.pattern for branch in enabled.trace.branches] == ["X.....", "___X.."]


def test_two_transformers_share_one_count_of_steps():
    entry = PIPELINES["wan22"]
    pipe = entry.make()
    with cachekit.enable(pipe, "uniform", computed=3) as enabled:
        entry.run(pipe)
        first, second = (session.trace.pattern for session in enabled.sessions)
        assert enabled.trace.pattern == "X.X..X"
        assert (first, second) == ("X.", "__X..X")
        assert enabled.held_bytes == 0


def test_a_pipeline_of_the_same_parts_is_followed_too():
    """`from_pipe` shares transformer and scheduler, but not what the first pipeline noted of its own calls."""
    flux = PIPELINES["flux"]
    pipe = flux.make()
    image = PIPELINES["flux_image_to_image"]
    sibling = quiet(diffusers.FluxImg2ImgPipeline.from_pipe(pipe))
    with cachekit.enable(pipe, SkipAllButFirst()) as enabled:
        flux.run(pipe, steps=4)
        image.run(sibling, steps=10, strength=0.6)
        assert enabled.trace.pattern == "X....."
        flux.run(pipe, steps=5)
        assert enabled.trace.pattern == "X...."


def test_the_sibling_of_a_pipeline_that_names_no_first_step_is_followed_too():
    pipe = WAN.make()
    parts = {name: part for name, part in pipe.components.items() if name != "transformer_2"}
    sibling = quiet(diffusers.WanVideoToVideoPipeline(**parts))
    entry = PIPELINES["wan_video_to_video"]
    with cachekit.enable(pipe, SkipAllButFirst()) as enabled:
        WAN.run(pipe, steps=12)
        entry.run(sibling, steps=10, strength=0.6)
        assert enabled.trace.pattern == "X....."


def test_a_sampler_without_a_step_index_is_followed_by_its_timesteps():
    pipe = cogvideox_of(diffusers.DDIMScheduler())
    entry = PIPELINES["cogvideox"]
    with cachekit.enable(pipe, "uniform", computed=3) as enabled:
        made = entry.run(pipe)
        assert enabled.trace.pattern == "X.X..X"
        assert torch.equal(entry.run(pipe), made)


def test_a_call_outside_the_schedule_is_the_bare_model_s():
    pipe = WAN.make()
    given = call_of_its_own()
    bare = pipe.transformer(**given)
    with cachekit.enable(pipe, SkipAllButFirst()) as enabled:
        made = WAN.run(pipe)
        assert equal(pipe.transformer(**given), bare)
        assert enabled.trace.pattern == "X....."
        assert torch.equal(WAN.run(pipe), made)


def test_paused_is_the_bare_pipeline():
    pipe = WAN.make()
    bare = WAN.run(pipe)
    with cachekit.enable(pipe, SkipAllButFirst()) as enabled:
        with enabled.paused():
            assert torch.equal(WAN.run(pipe), bare)
        assert not torch.equal(WAN.run(pipe), bare)
        assert len(enabled.traces) == 1


def test_disable_finds_what_was_enabled_and_other_settings_may_follow():
    pipe = WAN.make()
    bare = WAN.run(pipe)
    cachekit.enable(pipe, SkipAllButFirst())
    assert not torch.equal(WAN.run(pipe), bare)
    cachekit.disable(pipe)
    assert torch.equal(WAN.run(pipe), bare)
    again = cachekit.enable(pipe, "uniform", computed=6)
    assert torch.equal(WAN.run(pipe), bare)
    again.disable()
    again.disable()
    with pytest.raises(cachekit.CachekitError, match="no strategy is enabled"):
        cachekit.disable(pipe)


def test_a_run_has_its_seconds():
    pipe = WAN.make()
    with cachekit.enable(pipe, "none") as enabled:
        WAN.run(pipe)
        WAN.run(pipe)
        assert all(0 < trace.seconds < 60 for trace in enabled.traces)


def test_a_planned_strategy_reads_no_tensor(scalar_reads):
    pipe, bare = WAN.make(), type(scalar_reads)()
    with bare:
        WAN.run(pipe)
    with cachekit.enable(pipe, "uniform", computed=6), scalar_reads:
        WAN.run(pipe)
    assert scalar_reads.seen == bare.seen


def test_attach_serves_a_diffusers_transformer_without_its_pipeline():
    pipe = WAN.make()
    made = fresh(WAN)
    with cachekit.attach(pipe.transformer, "uniform", steps=6, computed=3) as session:
        assert torch.equal(WAN.run(pipe), made)
        assert [branch.pattern for branch in session.trace.branches] == ["X.X..X"] * 2


def test_flux_with_a_controlnet_is_nearer_to_uncached_than_with_diffusers_magcache():
    """What the ControlNet adds between blocks is added once; diffusers hands the sum on at the first block."""
    entry = PIPELINES["flux_controlnet"]
    pipe = entry.make()
    bare = entry.run(pipe, guided=False)
    pattern = "XX.X.X"
    with cachekit.enable(pipe, "fixed", pattern=pattern):
        ours = entry.run(pipe, guided=False)
    pipe.transformer.enable_cache(
        diffusers.MagCacheConfig(
            threshold=0.5,
            max_skip_steps=1,
            retention_ratio=2 / 6,
            num_inference_steps=6,
            mag_ratios=[1.0] * 6,
        )
    )
    ran = []
    pipe.transformer.transformer_blocks[1].attn.register_forward_pre_hook(lambda block, given: ran.append(1))
    theirs = entry.run(pipe, guided=False)
    assert len(ran) == pattern.count("X")
    assert (ours - bare).norm() < 0.5 * (theirs - bare).norm()


def test_enabling_touches_only_the_instance():
    pipe, other = WAN.make(), quiet(wan_of(diffusers.WanPipeline, flow()))
    bare = WAN.run(other)
    with cachekit.enable(pipe, SkipAllButFirst()):
        assert torch.equal(WAN.run(other), bare)
        assert "maybe_free_model_hooks" not in vars(other)
