"""SD3 and the plain image transformers before it."""

from __future__ import annotations

import diffusers
import torch

from zoo.parts import SmallModel, noise

SD3 = {
    "sample_size": 16,
    "patch_size": 1,
    "in_channels": 4,
    "num_layers": 4,
    "attention_head_dim": 8,
    "num_attention_heads": 4,
    "caption_projection_dim": 32,
    "joint_attention_dim": 32,
    "pooled_projection_dim": 64,
    "out_channels": 4,
    "pos_embed_max_size": 32,
}


def image_and_text(size: int) -> dict[str, torch.Tensor]:
    return {
        "hidden_states": noise(2, 4, 8, 8 * size),
        "encoder_hidden_states": noise(2, 12, 32),
        "pooled_projections": noise(2, 64),
    }


def sd3() -> SmallModel:
    return SmallModel(diffusers.SD3Transformer2DModel, SD3, image_and_text)


def sd35() -> SmallModel:
    config = SD3 | {"dual_attention_layers": (0,), "qk_norm": "rms_norm"}
    return SmallModel(diffusers.SD3Transformer2DModel, config, image_and_text)


def sd3_controlled() -> SmallModel:
    """SD3 with a ControlNet's residuals, which the model adds after blocks."""
    return SmallModel(
        diffusers.SD3Transformer2DModel,
        SD3,
        lambda size: (
            image_and_text(size) | {"block_controlnet_hidden_states": [noise(2, 64 * size, 32) for _ in range(2)]}
        ),
    )


def dit() -> SmallModel:
    config = {
        "in_channels": 4,
        "out_channels": 8,
        "num_attention_heads": 2,
        "attention_head_dim": 4,
        "num_layers": 3,
        "num_embeds_ada_norm": 8,
        "patch_size": 2,
        "sample_size": 8,
    }
    return SmallModel(
        diffusers.DiTTransformer2DModel,
        config,
        lambda size: {"hidden_states": noise(2 * size, 4, 8, 8), "class_labels": torch.tensor([0, 3] * size)},
    )


def pixart() -> SmallModel:
    config = {
        "sample_size": 8,
        "num_layers": 3,
        "patch_size": 2,
        "attention_head_dim": 4,
        "num_attention_heads": 2,
        "in_channels": 4,
        "cross_attention_dim": 8,
        "out_channels": 8,
        "use_additional_conditions": False,
        "caption_channels": 8,
    }
    return SmallModel(
        diffusers.PixArtTransformer2DModel,
        config,
        lambda size: {
            "hidden_states": noise(2 * size, 4, 8, 8),
            "encoder_hidden_states": noise(2 * size, 8, 8),
            "added_cond_kwargs": {"aspect_ratio": None, "resolution": None},
        },
    )


MODELS = (sd3, sd35, sd3_controlled, dit, pixart)
