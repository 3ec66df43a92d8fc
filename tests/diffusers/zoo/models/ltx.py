"""LTX and LTX-2, whose blocks carry a second stream of sound."""

from __future__ import annotations

import diffusers
import torch

from zoo.parts import SmallModel, noise, ones


def ltx() -> SmallModel:
    config = {
        "in_channels": 4,
        "out_channels": 4,
        "num_attention_heads": 2,
        "attention_head_dim": 8,
        "cross_attention_dim": 16,
        "num_layers": 3,
        "qk_norm": "rms_norm_across_heads",
        "caption_channels": 16,
    }
    return SmallModel(
        diffusers.LTXVideoTransformer3DModel,
        config,
        lambda size: {
            "hidden_states": noise(2, 32 * size, 4),
            "encoder_hidden_states": noise(2, 16, 16),
            "encoder_attention_mask": ones(2, 16),
            "num_frames": 2,
            "height": 4,
            "width": 4 * size,
        },
    )


def ltx2() -> SmallModel:
    config = {
        "in_channels": 4,
        "out_channels": 4,
        "patch_size": 1,
        "patch_size_t": 1,
        "num_attention_heads": 2,
        "attention_head_dim": 8,
        "cross_attention_dim": 16,
        "audio_in_channels": 4,
        "audio_out_channels": 4,
        "audio_num_attention_heads": 2,
        "audio_attention_head_dim": 4,
        "audio_cross_attention_dim": 8,
        "num_layers": 3,
        "qk_norm": "rms_norm_across_heads",
        "caption_channels": 16,
        "rope_double_precision": False,
    }
    return SmallModel(
        diffusers.LTX2VideoTransformer3DModel,
        config,
        lambda size: {
            "hidden_states": noise(2, 32 * size, 4),
            "audio_hidden_states": noise(2, 9, 4),
            "encoder_hidden_states": noise(2, 16, 16),
            "audio_encoder_hidden_states": noise(2, 16, 16),
            "encoder_attention_mask": ones(2, 16),
            "num_frames": 2,
            "height": 4,
            "width": 4 * size,
            "audio_num_frames": 9,
            "fps": 25.0,
        },
    )


def sana_wm_refiner() -> SmallModel:
    """SANA-WM's second stage: LTX-2's video half alone."""
    config = {
        "in_channels": 4,
        "out_channels": 4,
        "num_attention_heads": 2,
        "attention_head_dim": 8,
        "cross_attention_dim": 16,
        "audio_in_channels": 4,
        "audio_out_channels": 4,
        "audio_num_attention_heads": 2,
        "audio_attention_head_dim": 4,
        "audio_cross_attention_dim": 8,
        "num_layers": 3,
        "caption_channels": 16,
        "rope_double_precision": False,
    }
    return SmallModel(
        diffusers.SanaWMLTX2RefinerTransformer3DModel,
        config,
        lambda size: {
            "hidden_states": noise(1, 16 * size, 4),
            "encoder_hidden_states": noise(1, 6, 16),
            "video_rotary_emb": (torch.ones(1, 16 * size, 16), torch.zeros(1, 16 * size, 16)),
        },
    )


MODELS = (ltx, ltx2, sana_wm_refiner)
