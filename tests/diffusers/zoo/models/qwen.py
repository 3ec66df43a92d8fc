"""Qwen-Image and the classes that stand on a vision-language model's text."""

from __future__ import annotations

import diffusers
import torch

from zoo.parts import SmallModel, noise, ones

COMMON = {
    "patch_size": 2,
    "in_channels": 16,
    "out_channels": 4,
    "num_layers": 3,
    "attention_head_dim": 16,
    "num_attention_heads": 4,
    "joint_attention_dim": 16,
    "axes_dims_rope": (8, 4, 4),
}


def image_and_text(size: int) -> dict[str, object]:
    return {
        "hidden_states": noise(1, 16 * size, 16),
        "encoder_hidden_states": noise(1, 8, 16),
        "encoder_hidden_states_mask": ones(1, 8, dtype=torch.int64),
        "img_shapes": [(1, 4, 4 * size)],
    }


def qwen_image() -> SmallModel:
    return SmallModel(
        diffusers.QwenImageTransformer2DModel, COMMON | {"guidance_embeds": False}, image_and_text, scale=1.0
    )


def qwen_image_controlled() -> SmallModel:
    """Qwen-Image with a ControlNet's residuals, which the model adds after blocks."""
    return SmallModel(
        diffusers.QwenImageTransformer2DModel,
        COMMON | {"guidance_embeds": False},
        lambda size: image_and_text(size) | {"controlnet_block_samples": [noise(1, 16 * size, 64)] * 3},
        scale=1.0,
    )


def qwen_image_21() -> SmallModel:
    config = {
        "in_channels": 4,
        "out_channels": 4,
        "num_layers": 3,
        "attention_head_dim": 16,
        "num_attention_heads": 2,
        "context_in_dim": 16,
        "axes_dims_rope": (8, 4, 4),
    }

    def inputs(size: int) -> dict[str, object]:
        slots = 4 * size
        return {
            "hidden_states": noise(1, 16 * size, 4),
            "encoder_hidden_states": noise(1, 6, 16),
            "img_shapes": [[(1, 4, 4 * size)]],
            "img_mask": torch.cat([torch.zeros(1, 6), torch.ones(1, slots)], dim=1).bool(),
        }

    return SmallModel(diffusers.QwenImage21Transformer2DModel, config, inputs, scale=1.0)


def nucleus_moe() -> SmallModel:
    config = COMMON | {"moe_enabled": False, "capacity_factors": [8.0, 8.0, 8.0]}
    return SmallModel(diffusers.NucleusMoEImageTransformer2DModel, config, image_and_text, scale=1.0)


JOY = {
    "patch_size": [1, 2, 2],
    "in_channels": 4,
    "hidden_size": 32,
    "num_attention_heads": 2,
    "text_dim": 16,
    "num_layers": 3,
    "rope_dim_list": [4, 6, 6],
    "theta": 256,
}


def joy_image_edit() -> SmallModel:
    return SmallModel(
        diffusers.JoyImageEditTransformer3DModel,
        JOY,
        lambda size: {"hidden_states": noise(1, 4, 1, 4, 4 * size), "encoder_hidden_states": noise(1, 12, 16)},
    )


def joy_image_edit_plus() -> SmallModel:
    return SmallModel(
        diffusers.JoyImageEditPlusTransformer3DModel,
        JOY,
        lambda size: {
            "hidden_states": noise(1, 2 * size, 4, 1, 2, 2),
            "encoder_hidden_states": noise(1, 12, 16),
            "shape_list": [[(1, 1, size), (1, 1, size)]],
        },
    )


MODELS = (qwen_image, qwen_image_controlled, qwen_image_21, nucleus_moe, joy_image_edit, joy_image_edit_plus)
