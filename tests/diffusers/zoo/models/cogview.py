"""CogVideoX, CogView and their kin: a text stream beside the image's, in blocks of two streams."""

from __future__ import annotations

import diffusers
import torch

from zoo.parts import SmallModel, noise

COGVIDEOX = {
    "num_attention_heads": 2,
    "attention_head_dim": 8,
    "in_channels": 4,
    "out_channels": 4,
    "time_embed_dim": 2,
    "text_embed_dim": 8,
    "num_layers": 3,
    "sample_width": 8,
    "sample_height": 8,
    "sample_frames": 8,
    "patch_size": 2,
    "temporal_compression_ratio": 4,
    "max_text_seq_length": 8,
}


def video_and_text(size: int, frames: int = 2) -> dict[str, torch.Tensor]:
    return {"hidden_states": noise(2, frames, 4, 8, 8 * size), "encoder_hidden_states": noise(2, 8, 8)}


def cogvideox() -> SmallModel:
    return SmallModel(diffusers.CogVideoXTransformer3DModel, COGVIDEOX, video_and_text)


def cogvideox_15() -> SmallModel:
    config = COGVIDEOX | {"patch_size_t": 2, "use_rotary_positional_embeddings": True}
    return SmallModel(diffusers.CogVideoXTransformer3DModel, config, video_and_text)


def consisid() -> SmallModel:
    config = COGVIDEOX | {
        "cross_attn_interval": 1,
        "is_kps": False,
        "is_train_face": True,
        "cross_attn_dim_head": 1,
        "cross_attn_num_heads": 1,
        "LFE_id_dim": 2,
        "LFE_vit_dim": 2,
        "LFE_depth": 5,
        "LFE_dim_head": 8,
        "LFE_num_heads": 2,
        "LFE_num_id_token": 1,
        "LFE_num_querie": 1,
        "LFE_output_dim": 10,
        "LFE_ff_mult": 1,
        "LFE_num_scale": 1,
    }
    return SmallModel(
        diffusers.ConsisIDTransformer3DModel,
        config,
        lambda size: video_and_text(size, 1) | {"id_vit_hidden": [noise(2, 2, 2)], "id_cond": noise(2, 2)},
    )


def sizes(batch: int) -> dict[str, torch.Tensor]:
    """The size conditions of CogView."""
    return {
        "original_size": torch.tensor([[64, 64]] * batch),
        "target_size": torch.tensor([[64, 64]] * batch),
        "crop_coords": torch.tensor([[0, 0]] * batch),
    }


def image_and_text(size: int) -> dict[str, torch.Tensor]:
    return {"hidden_states": noise(2, 4, 8, 8 * size), "encoder_hidden_states": noise(2, 8, 8)}


COGVIEW = {
    "patch_size": 2,
    "in_channels": 4,
    "num_layers": 3,
    "attention_head_dim": 4,
    "num_attention_heads": 4,
    "out_channels": 4,
    "text_embed_dim": 8,
    "time_embed_dim": 8,
    "condition_dim": 4,
}


def cogview3plus() -> SmallModel:
    config = COGVIEW | {"pos_embed_max_size": 8, "sample_size": 8}
    return SmallModel(diffusers.CogView3PlusTransformer2DModel, config, lambda size: image_and_text(size) | sizes(2))


def cogview4() -> SmallModel:
    return SmallModel(diffusers.CogView4Transformer2DModel, COGVIEW, lambda size: image_and_text(size) | sizes(2))


def glm_image() -> SmallModel:
    config = {
        "patch_size": 2,
        "in_channels": 4,
        "out_channels": 4,
        "num_layers": 3,
        "attention_head_dim": 8,
        "num_attention_heads": 2,
        "text_embed_dim": 32,
        "time_embed_dim": 16,
        "condition_dim": 8,
        "prior_vq_quantizer_codebook_size": 64,
    }
    return SmallModel(
        diffusers.GlmImageTransformer2DModel,
        config,
        lambda size: {
            "hidden_states": noise(1, 4, 8, 8 * size),
            "encoder_hidden_states": noise(1, 12, 32),
            "prior_token_id": torch.arange(16 * size)[None] % 64,
            "prior_token_drop": torch.zeros(1, 16 * size, dtype=torch.bool),
            "target_size": torch.tensor([[8.0, 8.0 * size]]),
            "crop_coords": torch.zeros(1, 2),
        },
    )


MODELS = (cogvideox, cogvideox_15, consisid, cogview3plus, cogview4, glm_image)
