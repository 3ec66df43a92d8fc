"""Our Open-Sora 1.2 against what the public code computes for the same weights and inputs."""

import pytest
import torch

import cachekit
from cachekit.opensora.sampler import RFlowSampler
from cachekit.opensora.stdit3 import STDiT3, STDiT3Config

RUNS = range(7)


@pytest.mark.parametrize("case", ["square", "portrait_odd", "frame_mask", "no_text_mask", "image"])
def test_forward(stdit3, golden_forwards, case):
    inputs = {key.split(".")[1]: value for key, value in golden_forwards.items() if key.startswith(f"{case}.")}
    expected = inputs.pop("out")
    output = stdit3(**inputs)
    assert output.shape == expected.shape
    assert (output - expected).abs().max() < 1e-5


@pytest.mark.parametrize("case", range(4))
def test_timesteps(golden, case):
    expected = golden["timesteps"][case]
    sizes = {
        "height": torch.tensor([float(expected["height"])]),
        "width": torch.tensor([float(expected["width"])]),
        "num_frames": torch.tensor([expected["num_frames"]]),
    }
    timesteps = RFlowSampler(steps=expected["steps"]).timesteps(**sizes)
    assert [float(t) for t in timesteps] == pytest.approx(expected["values"], abs=1e-3)


def generate(model, tensors, run):
    args = {key.removeprefix("args."): value for key, value in tensors.items() if key.startswith("args.")}
    sampler = RFlowSampler(steps=run["steps"], guidance_scale=run["cfg_scale"])
    return sampler.sample(model, tensors["z"], y_null=tensors["y_null"], **args)


def measured(golden, strategy):
    """What the published scripts carry; MagCache's takes the square root of its list."""
    return {
        "none": {},
        "magcache": {"ratios": [ratio**0.5 for ratio in golden["mag_ratios_raw"]]},
        "teacache": {"coefficients": golden["teacache_coefficients"]},
    }[strategy]


@pytest.mark.parametrize("number", RUNS)
def test_whole_generation(stdit3, golden, golden_trajectories, number):
    run = golden["trajectories"][number]
    params = {**run["params"], **measured(golden, run["strategy"])}
    with cachekit.attach(stdit3, run["strategy"], steps=run["steps"], **params) as session:
        latents = generate(stdit3, golden_trajectories, run)
    assert session.trace.pattern == run["pattern"]
    assert (latents - golden_trajectories[run["latents"]]).abs().max() < 1e-4


def test_the_bare_model_is_the_uncached_trajectory(stdit3, golden, golden_trajectories):
    latents = generate(stdit3, golden_trajectories, golden["trajectories"][0])
    assert (latents - golden_trajectories["run0.latents"]).abs().max() < 1e-4


def test_the_published_checkpoint_s_sizes():
    with torch.device("meta"):
        model = STDiT3(STDiT3Config())
    shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    assert len(model.spatial_blocks) == len(model.temporal_blocks) == 28
    assert shapes["x_embedder.proj.weight"] == (1152, 4, 1, 2, 2)
    assert shapes["y_embedder.y_embedding"] == (300, 4096)
    assert shapes["spatial_blocks.27.attn.q_norm.weight"] == (72,)
    assert shapes["t_block.1.weight"] == (6 * 1152, 1152)
    assert shapes["final_layer.linear.weight"] == (32, 1152)
    assert shapes["rope.freqs"] == (36,)


def test_forward_without_conditions_says_what_is_missing(stdit3):
    with pytest.raises(TypeError, match="fps, height and width"):
        stdit3(torch.zeros(1, 4, 1, 4, 4), torch.zeros(1), torch.zeros(1, 1, 12, 24))
