"""Wan and the classes built like it."""

from __future__ import annotations

import diffusers
import torch
from diffusers.models.transformers.transformer_wan_animate_2 import WanAnimate2KVCache

from zoo.parts import SmallModel, noise

COMMON = {
    "patch_size": (1, 2, 2),
    "num_attention_heads": 2,
    "attention_head_dim": 12,
    "in_channels": 4,
    "out_channels": 4,
    "text_dim": 16,
    "freq_dim": 32,
    "ffn_dim": 32,
    "num_layers": 3,
    "cross_attn_norm": True,
    "qk_norm": "rms_norm_across_heads",
    "rope_max_seq_len": 32,
}
WITHOUT_QK_NORM = {key: value for key, value in COMMON.items() if key != "qk_norm"}


def latents_and_text(size: int) -> dict[str, torch.Tensor]:
    return {"hidden_states": noise(1, 4, 2, 8, 8 * size), "encoder_hidden_states": noise(1, 12, 16)}


def wan() -> SmallModel:
    return SmallModel(diffusers.WanTransformer3DModel, COMMON, latents_and_text)


def wan_vace() -> SmallModel:
    config = COMMON | {"num_layers": 4, "vace_layers": [0, 2], "vace_in_channels": 12}
    return SmallModel(
        diffusers.WanVACETransformer3DModel,
        config,
        lambda size: latents_and_text(size) | {"control_hidden_states": noise(1, 12, 2, 8, 8 * size)},
    )


def wan_animate() -> SmallModel:
    config = COMMON | {
        "in_channels": 12,
        "latent_channels": 4,
        "image_dim": 16,
        "motion_encoder_channel_sizes": {"4": 16, "8": 16, "16": 16},
        "motion_encoder_size": 16,
        "motion_style_dim": 8,
        "motion_dim": 4,
        "motion_encoder_dim": 16,
        "face_encoder_hidden_dim": 16,
        "face_encoder_num_heads": 2,
        "inject_face_latents_blocks": 1,
    }
    return SmallModel(
        diffusers.WanAnimateTransformer3DModel,
        config,
        lambda size: {
            "hidden_states": noise(1, 12, 5, 8, 8 * size),
            "encoder_hidden_states": noise(1, 12, 16),
            "encoder_hidden_states_image": noise(1, 12, 16),
            "pose_hidden_states": noise(1, 4, 4, 8, 8 * size),
            "face_pixel_values": noise(1, 3, 13, 16, 16),
        },
    )


def filled_cache(layers: int = 3, tokens: int = 8) -> WanAnimate2KVCache:
    """Keys and values of a reference video, as the pipeline's first call leaves them."""
    cache = WanAnimate2KVCache(layers)
    for layer in range(layers):
        cache.get(layer).store(noise(1, tokens, 2, 32), noise(1, tokens, 2, 32))
    return cache


def wan_animate_2() -> SmallModel:
    config = {
        "patch_size": (1, 2, 2),
        "text_len": 16,
        "in_dim": 36,
        "dim": 64,
        "ffn_dim": 64,
        "freq_dim": 32,
        "text_dim": 32,
        "out_dim": 16,
        "num_heads": 2,
        "num_layers": 3,
        "cross_attn_norm": True,
        "use_img_emb": True,
    }

    def inputs(size: int) -> dict[str, object]:
        return {
            "hidden_states": [noise(16, 2, 4, 4 * size)],
            "encoder_hidden_states": [noise(8, 32)],
            "condition_latents": [noise(20, 2, 4, 4 * size)],
            "encoder_hidden_states_image": noise(1, 4, 1280),
            "kv_cache": filled_cache(),
            "kv_cache_mode": "cached",
            "seq_len": 8 * size,
            "reference_grid_sizes": torch.tensor([[2, 2, 2]]),
            "origin_len": 5,
            "origin_area": [32, 32 * size],
        }

    return SmallModel(diffusers.WanAnimate2Transformer3DModel, config, inputs)


def chrono_edit() -> SmallModel:
    config = COMMON | {"rope_max_seq_len": 64, "rope_temporal_skip_len": 8}
    return SmallModel(diffusers.ChronoEditTransformer3DModel, config, latents_and_text)


def skyreels_v2() -> SmallModel:
    return SmallModel(diffusers.SkyReelsV2Transformer3DModel, COMMON, latents_and_text)


def anyflow() -> SmallModel:
    return SmallModel(
        diffusers.AnyFlowTransformer3DModel,
        WITHOUT_QK_NORM | {"gate_value": 0.25, "deltatime_type": "r"},
        lambda size: {
            "hidden_states": noise(1, 2, 4, 8, 8 * size),
            "r_timestep": torch.zeros(1, 2),
            "encoder_hidden_states": noise(1, 12, 16),
        },
        scale=1.0,
        timestep_shape=(1, 2),
    )


def anyflow_far() -> SmallModel:
    config = WITHOUT_QK_NORM | {
        "compressed_patch_size": (1, 4, 4),
        "full_chunk_limit": 3,
        "gate_value": 0.25,
        "deltatime_type": "r",
    }
    return SmallModel(
        diffusers.AnyFlowFARTransformer3DModel,
        config,
        lambda size: {
            "hidden_states": noise(1, 4, 4, 8, 8 * size),
            "r_timestep": torch.zeros(1, 4),
            "encoder_hidden_states": noise(1, 12, 16),
            "chunk_partition": [2, 2],
        },
        scale=1.0,
        timestep_shape=(1, 4),
    )


def helios() -> SmallModel:
    config = {key: value for key, value in COMMON.items() if key != "rope_max_seq_len"} | {
        "rope_dim": (4, 4, 4),
        "has_multi_term_memory_patch": True,
        "guidance_cross_attn": True,
        "zero_history_timestep": True,
        "is_amplify_history": False,
    }
    return SmallModel(
        diffusers.HeliosTransformer3DModel,
        config,
        lambda size: (
            latents_and_text(size)
            | {
                "indices_hidden_states": torch.ones(1, 2),
                "indices_latents_history_short": torch.ones(1, 1),
                "indices_latents_history_mid": torch.ones(1, 1),
                "indices_latents_history_long": torch.ones(1, 4),
                "latents_history_short": noise(1, 4, 1, 8, 8 * size),
                "latents_history_mid": noise(1, 4, 1, 8, 8 * size),
                "latents_history_long": noise(1, 4, 4, 8, 8 * size),
            }
        ),
    )


MODELS = (wan, wan_vace, wan_animate, wan_animate_2, chrono_edit, skyreels_v2, anyflow, anyflow_far, helios)
