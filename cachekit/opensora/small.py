"""Open-Sora 1.2 in small: every part of the real classes, a few thousandths of the size, with seeded random weights.

What it makes is noise; what it is for is to run every stage, with the arithmetic and the shapes of the published
pipeline, in seconds on a CPU.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import nn

from cachekit.opensora.optional import need
from cachekit.opensora.stdit3 import STDiT3, STDiT3Config
from cachekit.opensora.temporal_vae import TemporalVAE, TemporalVAEConfig
from cachekit.opensora.text import HashTokenizer, Tokenizer
from cachekit.opensora.vae import SpatialVAE, VideoVAE

SEED = 0
CAPTION_CHANNELS = 64
VOCABULARY = 512
HIDDEN_SIZE = 48
DEPTH = 2

T = TypeVar("T")


def seeded(build: Callable[[], T]) -> T:
    """What `build` makes from torch's random numbers at a fixed seed; the caller's own are not touched."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        return build()


def small_transformer(dtype: torch.dtype) -> STDiT3:
    """An STDiT3 of 0.2 M parameters whose temporal blocks, which begin training as nothing, do something."""

    def build() -> STDiT3:
        config = STDiT3Config(hidden_size=HIDDEN_SIZE, depth=DEPTH, num_heads=4, caption_channels=CAPTION_CHANNELS)
        transformer = STDiT3(config)
        for parameter in transformer.parameters():
            if parameter.ndim >= 2 and not parameter.any():
                nn.init.xavier_uniform_(parameter)
        return transformer

    return seeded(build).to(dtype).eval()


def small_vae(dtype: torch.dtype) -> VideoVAE:
    """A video VAE of 0.4 M parameters; downsampling as published, 4 in time and 8 in space."""

    def build() -> VideoVAE:
        image_vae = need("diffusers").AutoencoderKL(
            block_out_channels=(8, 8, 16, 16),
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            layers_per_block=1,
            latent_channels=4,
            norm_num_groups=4,
        )
        return VideoVAE(SpatialVAE(image_vae), TemporalVAE(small_temporal_config()))

    return seeded(build).to(dtype).eval()


def small_temporal_config() -> TemporalVAEConfig:
    return TemporalVAEConfig(filters=8, num_res_blocks=1, num_groups=4)


def small_text_model(dtype: torch.dtype) -> tuple[nn.Module, Tokenizer]:
    """A T5 encoder of two layers, and a tokenizer without a vocabulary file."""
    transformers = need("transformers")
    config = transformers.T5Config(
        d_model=CAPTION_CHANNELS,
        d_ff=128,
        d_kv=16,
        num_heads=4,
        num_layers=2,
        vocab_size=VOCABULARY,
        feed_forward_proj="gated-gelu",
    )
    model: nn.Module = seeded(lambda: transformers.T5EncoderModel(config))
    return model.to(dtype).eval(), HashTokenizer(VOCABULARY)
