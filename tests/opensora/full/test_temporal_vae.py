"""The temporal VAE computes what the published one does, on golden data of its class at small seeded weights."""

import json

import pytest
import torch
from safetensors.torch import load_file

from cachekit.opensora.temporal_vae import Posterior, TemporalVAE, TemporalVAEConfig
from cachekit.opensora.vae import frame_parts

CASES = ("n1", "n16", "n17", "n20", "n51")


@pytest.fixture(scope="module")
def golden(data):
    return json.loads((data / "temporal_vae.json").read_text()), load_file(data / "temporal_vae.safetensors")


@pytest.fixture(scope="module")
def vae(data, golden):
    vae = TemporalVAE(TemporalVAEConfig(**golden[0]["config"]))
    vae.load_state_dict(load_file(data / "temporal_vae_weights.safetensors"), strict=True)
    return vae.eval()


@torch.no_grad()
@pytest.mark.parametrize("case", CASES)
def test_posterior_means_are_the_published_ones(vae, golden, case):
    description, tensors = golden
    parts = tensors[f"{case}.x"].split(description["micro_frame_size"], dim=2)
    means = torch.cat([vae.encode(part).mean for part in parts], dim=2)
    assert means.shape[2] == description["cases"][case]["latent_frames"]
    torch.testing.assert_close(means, tensors[f"{case}.posterior_mean"], rtol=0, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("case", CASES)
def test_decodings_are_the_published_ones(vae, golden, case):
    description, tensors = golden
    counts = frame_parts(description["cases"][case]["frames"], description["micro_frame_size"])
    latents = tensors[f"{case}.posterior_mean"].split([-(-count // 4) for count in counts], dim=2)
    decoded = torch.cat([vae.decode(z, count) for z, count in zip(latents, counts, strict=True)], dim=2)
    torch.testing.assert_close(decoded, tensors[f"{case}.decoded"], rtol=0, atol=1e-5)


def test_the_published_size_is_that_of_the_checkpoint():
    with torch.device("meta"):
        vae = TemporalVAE(TemporalVAEConfig())
    assert sum(parameter.numel() for parameter in vae.parameters()) == 309_687_144
    assert len(vae.state_dict()) == 267


def test_a_draw_is_the_mean_and_noise_of_the_standard_deviation():
    mean, log_variance = torch.full((1, 4, 2, 3, 3), 5.0), torch.full((1, 4, 2, 3, 3), 2.0).log() * 2
    noise = torch.randn(mean.shape, generator=torch.Generator().manual_seed(7))
    drawn = Posterior(mean, log_variance).sample(torch.Generator().manual_seed(7))
    torch.testing.assert_close(drawn, 5 + 2 * noise)
