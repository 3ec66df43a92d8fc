"""The video VAE: frames in micro-batches, time in micro-frames, latents shifted and scaled as published."""

import pytest
import torch

from cachekit.opensora.pipeline import to_frames
from cachekit.opensora.vae import SCALE, SHIFT, SPATIAL_SCALE, frame_parts


@pytest.fixture(scope="module")
def vae(small):
    return small.vae


@pytest.fixture(scope="module")
def video():
    return torch.rand(1, 3, 20, 32, 48, generator=torch.Generator().manual_seed(0)) * 2 - 1


@torch.no_grad()
def test_frames_are_encoded_by_the_image_vae_one_independent_of_the_other(vae, video):
    latents = vae.spatial_vae.encode(video)
    assert latents.shape == (1, 4, 20, 4, 6)
    for frame in (0, 3, 4, 19):
        alone = vae.spatial_vae.module.encode(video[:, :, frame]).latent_dist.mode() * SPATIAL_SCALE
        torch.testing.assert_close(latents[:, :, frame], alone, rtol=0, atol=1e-5)


@torch.no_grad()
def test_no_more_than_four_frames_are_in_the_image_vae_at_once(vae, video):
    seen = []
    hook = vae.spatial_vae.module.encoder.register_forward_pre_hook(lambda module, args: seen.append(len(args[0])))
    vae.spatial_vae.encode(video[:, :, :10])
    hook.remove()
    assert seen == [4, 4, 2]


def test_frames_are_taken_seventeen_at_a_time():
    assert frame_parts(51, 17) == [17, 17, 17]
    assert frame_parts(20, 17) == [17, 3]
    assert frame_parts(1, 17) == [1]


@torch.no_grad()
def test_latents_are_normalised_per_channel(vae, video):
    latents = vae.encode(video[:, :, :17])
    plain = vae.temporal_vae.encode(vae.spatial_vae.encode(video[:, :, :17])).mean
    for channel in range(4):
        expected = (plain[:, channel] - SHIFT[channel]) / SCALE[channel]
        torch.testing.assert_close(latents[:, channel], expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize(("frames", "latent_frames"), [(1, 1), (17, 5), (20, 6), (35, 11)])
def test_a_decoded_video_has_the_frames_asked_for(vae, frames, latent_frames):
    latents = torch.randn(1, 4, latent_frames, 2, 3, generator=torch.Generator().manual_seed(0))
    assert vae.decode(latents, frames).shape == (1, 3, frames, 16, 24)


def test_micro_frames_are_decoded_independently(vae):
    latents = torch.randn(1, 4, 6, 2, 3, generator=torch.Generator().manual_seed(0))
    alone = vae.decode(latents[:, :, 5:], 3)
    torch.testing.assert_close(vae.decode(latents, 20)[:, :, 17:], alone, rtol=0, atol=1e-5)


def test_draws_are_seeded(vae, video):
    def draw(seed):
        return vae.encode(video, torch.Generator().manual_seed(seed))

    assert torch.equal(draw(1), draw(1))
    assert not torch.equal(draw(1), draw(2))


def test_values_become_the_nearest_level():
    video = torch.tensor([-1.5, -1.0, -0.9999, 0.0, 0.5, 1.0, 2.0]).view(1, 7, 1, 1).expand(3, 7, 1, 1)
    frames = to_frames(video)
    assert frames.shape == (7, 1, 1, 3) and frames.dtype == torch.uint8
    assert frames[:, 0, 0, 0].tolist() == [0, 0, 0, 128, 191, 255, 255]
