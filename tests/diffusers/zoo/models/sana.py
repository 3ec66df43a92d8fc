"""Sana's classes: linear attention, one stream."""

from __future__ import annotations

import diffusers

from zoo.parts import SmallModel, noise


def sana() -> SmallModel:
    config = {
        "patch_size": 1,
        "in_channels": 4,
        "out_channels": 4,
        "num_layers": 3,
        "attention_head_dim": 4,
        "num_attention_heads": 2,
        "num_cross_attention_heads": 2,
        "cross_attention_head_dim": 4,
        "cross_attention_dim": 8,
        "caption_channels": 8,
        "sample_size": 8,
    }
    return SmallModel(
        diffusers.SanaTransformer2DModel,
        config,
        lambda size: {"hidden_states": noise(2, 4, 8, 8 * size), "encoder_hidden_states": noise(2, 8, 8)},
    )


def sana_video() -> SmallModel:
    config = {
        "in_channels": 4,
        "out_channels": 4,
        "num_attention_heads": 2,
        "attention_head_dim": 12,
        "num_layers": 3,
        "num_cross_attention_heads": 2,
        "cross_attention_head_dim": 12,
        "cross_attention_dim": 24,
        "caption_channels": 16,
        "sample_size": 8,
        "patch_size": (1, 2, 2),
        "qk_norm": "rms_norm_across_heads",
        "rope_max_seq_len": 32,
    }
    return SmallModel(
        diffusers.SanaVideoTransformer3DModel,
        config,
        lambda size: {"hidden_states": noise(1, 4, 2, 8, 8 * size), "encoder_hidden_states": noise(1, 12, 16)},
    )


MODELS = (sana, sana_video)
