"""Hunyuan's classes: separate text streams, blocks called by place."""

from __future__ import annotations

import diffusers
import torch

from zoo.parts import SmallModel, noise, ones

VIDEO = {
    "in_channels": 4,
    "out_channels": 4,
    "num_attention_heads": 2,
    "attention_head_dim": 10,
    "num_layers": 2,
    "num_single_layers": 2,
    "num_refiner_layers": 1,
    "patch_size": 1,
    "patch_size_t": 1,
    "guidance_embeds": True,
    "text_embed_dim": 16,
    "pooled_projection_dim": 8,
    "rope_axes_dim": (2, 4, 4),
}


def video_inputs(channels: int, *, guided: bool, frames: int = 1, height: int = 8) -> object:
    def inputs(size: int) -> dict[str, torch.Tensor]:
        given = {
            "hidden_states": noise(1, channels, frames, height, height * size),
            "encoder_hidden_states": noise(1, 12, 16),
            "pooled_projections": noise(1, 8),
            "encoder_attention_mask": ones(1, 12),
        }
        return given | ({"guidance": torch.tensor([6000.0])} if guided else {})

    return inputs


def hunyuan_video() -> SmallModel:
    return SmallModel(diffusers.HunyuanVideoTransformer3DModel, VIDEO, video_inputs(4, guided=True))


def hunyuan_video_token_replace() -> SmallModel:
    config = VIDEO | {"image_condition_type": "token_replace"}
    return SmallModel(diffusers.HunyuanVideoTransformer3DModel, config, video_inputs(4, guided=True, frames=2))


def framepack() -> SmallModel:
    config = VIDEO | {"patch_size": 2, "has_image_proj": True, "image_proj_dim": 16, "has_clean_x_embedder": True}
    base = video_inputs(4, guided=True, frames=3, height=4)
    return SmallModel(
        diffusers.HunyuanVideoFramepackTransformer3DModel,
        config,
        lambda size: (
            base(size)
            | {
                "image_embeds": noise(1, 12, 16),
                "indices_latents": torch.ones(3),
                "latents_clean": noise(1, 4, 2, 4, 4 * size),
                "indices_latents_clean": torch.ones(2),
                "latents_history_2x": noise(1, 4, 2, 4, 4 * size),
                "indices_latents_history_2x": torch.ones(2),
                "latents_history_4x": noise(1, 4, 8, 4, 4 * size),
                "indices_latents_history_4x": torch.ones(8),
            }
        ),
    )


def hunyuan_video_15() -> SmallModel:
    config = {
        "in_channels": 4,
        "out_channels": 4,
        "num_attention_heads": 2,
        "attention_head_dim": 8,
        "num_layers": 3,
        "num_refiner_layers": 1,
        "mlp_ratio": 2.0,
        "patch_size": 1,
        "patch_size_t": 1,
        "text_embed_dim": 16,
        "text_embed_2_dim": 8,
        "image_embed_dim": 12,
        "rope_axes_dim": (2, 2, 4),
        "target_size": 16,
        "task_type": "t2v",
    }
    return SmallModel(
        diffusers.HunyuanVideo15Transformer3DModel,
        config,
        lambda size: {
            "hidden_states": noise(1, 4, 1, 8, 8 * size),
            "encoder_hidden_states": noise(1, 6, 16),
            "encoder_hidden_states_2": noise(1, 4, 8),
            "encoder_attention_mask": ones(1, 6),
            "encoder_attention_mask_2": ones(1, 4),
            "image_embeds": torch.zeros(1, 3, 12),
        },
    )


def hunyuan_image() -> SmallModel:
    config = {
        "in_channels": 4,
        "out_channels": 4,
        "num_attention_heads": 2,
        "attention_head_dim": 8,
        "num_layers": 2,
        "num_single_layers": 2,
        "num_refiner_layers": 1,
        "text_embed_dim": 16,
        "rope_axes_dim": (4, 4),
    }
    return SmallModel(
        diffusers.HunyuanImageTransformer2DModel,
        config,
        lambda size: {
            "hidden_states": noise(1, 4, 8, 8 * size),
            "encoder_hidden_states": noise(1, 6, 16),
            "encoder_attention_mask": ones(1, 6),
        },
    )


def hunyuan_dit() -> SmallModel:
    config = {
        "sample_size": 8,
        "patch_size": 2,
        "in_channels": 4,
        "num_layers": 4,
        "attention_head_dim": 8,
        "num_attention_heads": 2,
        "cross_attention_dim": 8,
        "cross_attention_dim_t5": 8,
        "pooled_projection_dim": 4,
        "hidden_size": 16,
        "text_len": 4,
        "text_len_t5": 4,
        "activation_fn": "gelu-approximate",
    }
    return SmallModel(
        diffusers.HunyuanDiT2DModel,
        config,
        lambda size: {
            "hidden_states": noise(2, 4, 8, 8 * size),
            "encoder_hidden_states": noise(2, 4, 8),
            "text_embedding_mask": torch.ones(2, 4),
            "encoder_hidden_states_t5": noise(2, 4, 8),
            "text_embedding_mask_t5": torch.ones(2, 4),
            "image_meta_size": noise(2, 6),
            "style": torch.zeros(2, dtype=torch.int64),
            "image_rotary_emb": [noise(16 * size, 8), noise(16 * size, 8)],
        },
    )


MODELS = (
    hunyuan_video,
    hunyuan_video_token_replace,
    framepack,
    hunyuan_video_15,
    hunyuan_image,
    hunyuan_dit,
)
