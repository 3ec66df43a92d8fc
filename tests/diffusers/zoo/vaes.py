"""Autoencoders made small."""

from __future__ import annotations

from typing import Any

import diffusers

from zoo.parts import build


def image_vae(channels: int = 4, scale: int = 2, **more: object) -> Any:
    """Of images; each of its levels but the last halves the size."""
    levels = scale.bit_length()
    return build(
        diffusers.AutoencoderKL,
        {
            "block_out_channels": (4,) * levels,
            "down_block_types": ("DownEncoderBlock2D",) * levels,
            "up_block_types": ("UpDecoderBlock2D",) * levels,
            "latent_channels": channels,
            "norm_num_groups": 1,
            "sample_size": 32,
            "shift_factor": 0.0609,
            "scaling_factor": 1.5035,
            **more,
        },
    )


def wan_vae(channels: int = 4) -> Any:
    return build(
        diffusers.AutoencoderKLWan,
        {
            "base_dim": 3,
            "z_dim": channels,
            "dim_mult": [1, 1, 1, 1],
            "num_res_blocks": 1,
            "temperal_downsample": [False, True, True],
            "latents_mean": [0.0] * channels,
            "latents_std": [1.0] * channels,
        },
    )


def qwen_vae(channels: int = 4) -> Any:
    return build(
        diffusers.AutoencoderKLQwenImage,
        {
            "base_dim": 8,
            "z_dim": channels,
            "dim_mult": [1, 1, 1],
            "num_res_blocks": 1,
            "temperal_downsample": [False, True],
            "latents_mean": [0.0] * channels,
            "latents_std": [1.0] * channels,
        },
    )


def ltx_vae(channels: int = 4) -> Any:
    return build(
        diffusers.AutoencoderKLLTXVideo,
        {
            "latent_channels": channels,
            "block_out_channels": (8, 8, 8, 8),
            "decoder_block_out_channels": (8, 8, 8, 8),
            "layers_per_block": (1, 1, 1, 1, 1),
            "decoder_layers_per_block": (1, 1, 1, 1, 1),
            "spatio_temporal_scaling": (True, True, False, False),
            "decoder_spatio_temporal_scaling": (True, True, False, False),
            "decoder_inject_noise": (False,) * 5,
            "upsample_residual": (False,) * 4,
            "upsample_factor": (1,) * 4,
            "patch_size": 1,
        },
    )


def cogvideox_vae(channels: int = 4) -> Any:
    return build(
        diffusers.AutoencoderKLCogVideoX,
        {
            "block_out_channels": (8, 8, 8, 8),
            "latent_channels": channels,
            "layers_per_block": 1,
            "norm_num_groups": 2,
        },
    )


def hunyuan_vae(channels: int = 4) -> Any:
    return build(
        diffusers.AutoencoderKLHunyuanVideo,
        {
            "latent_channels": channels,
            "block_out_channels": (8, 8, 8, 8),
            "layers_per_block": 1,
            "norm_num_groups": 4,
        },
    )


def hunyuan15_vae(channels: int = 4) -> Any:
    return build(
        diffusers.AutoencoderKLHunyuanVideo15,
        {
            "latent_channels": channels,
            "block_out_channels": (16, 16),
            "layers_per_block": 1,
            "spatial_compression_ratio": 4,
            "temporal_compression_ratio": 2,
            "downsample_match_channel": False,
            "upsample_match_channel": False,
        },
    )


def mochi_vae(channels: int = 4) -> Any:
    return build(
        diffusers.AutoencoderKLMochi,
        {
            "latent_channels": channels,
            "out_channels": 3,
            "encoder_block_out_channels": (32, 32, 32, 32),
            "decoder_block_out_channels": (32, 32, 32, 32),
            "layers_per_block": (1, 1, 1, 1, 1),
            "latents_mean": [0.0] * channels,
            "latents_std": [1.0] * channels,
        },
    )


def flux2_vae() -> Any:
    return build(
        diffusers.AutoencoderKLFlux2,
        {
            "block_out_channels": (4,),
            "down_block_types": ("DownEncoderBlock2D",),
            "up_block_types": ("UpDecoderBlock2D",),
            "layers_per_block": 1,
            "latent_channels": 1,
            "norm_num_groups": 1,
            "use_quant_conv": False,
            "use_post_quant_conv": False,
        },
    )


def allegro_vae(channels: int = 4) -> Any:
    return build(
        diffusers.AutoencoderKLAllegro,
        {
            "block_out_channels": (8, 8, 8, 8),
            "latent_channels": channels,
            "layers_per_block": 1,
            "norm_num_groups": 2,
        },
    )


def dc_vae(channels: int = 4) -> Any:
    return build(
        diffusers.AutoencoderDC,
        {
            "in_channels": 3,
            "latent_channels": channels,
            "attention_head_dim": 2,
            "encoder_block_types": ("ResBlock", "EfficientViTBlock"),
            "decoder_block_types": ("ResBlock", "EfficientViTBlock"),
            "encoder_block_out_channels": (8, 8),
            "decoder_block_out_channels": (8, 8),
            "encoder_qkv_multiscales": ((), (5,)),
            "decoder_qkv_multiscales": ((), (5,)),
            "encoder_layers_per_block": (1, 1),
            "decoder_layers_per_block": (1, 1),
            "downsample_block_type": "conv",
            "upsample_block_type": "interpolate",
            "decoder_norm_types": "rms_norm",
            "decoder_act_fns": "silu",
            "scaling_factor": 0.41407,
        },
    )


def cosmos_vae(channels: int = 4) -> Any:
    return build(
        diffusers.AutoencoderKLCosmos,
        {
            "latent_channels": channels,
            "encoder_block_out_channels": (8, 8, 8, 8),
            "decode_block_out_channels": (8, 8, 8, 8),
            "attention_resolutions": (8,),
            "resolution": 64,
            "num_layers": 2,
            "patch_size": 4,
            "patch_type": "haar",
            "spatial_compression_ratio": 4,
            "temporal_compression_ratio": 4,
        },
    )
