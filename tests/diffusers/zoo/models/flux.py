"""FLUX and the classes built like it: blocks of two streams, then blocks of the joined one."""

from __future__ import annotations

from typing import Any

import diffusers
import torch

from zoo.parts import SmallModel, noise

COMMON = {
    "patch_size": 1,
    "in_channels": 4,
    "num_layers": 2,
    "num_single_layers": 2,
    "attention_head_dim": 16,
    "num_attention_heads": 2,
    "joint_attention_dim": 32,
    "axes_dims_rope": [4, 4, 8],
}


def grid(tokens: int, axes: int = 3) -> torch.Tensor:
    """Positions of image tokens, four a row."""
    ids = torch.zeros(tokens, axes)
    ids[:, 1], ids[:, 2] = torch.arange(tokens) // 4, torch.arange(tokens) % 4
    return ids


def image_and_text(size: int, channels: int = 4) -> dict[str, Any]:
    return {
        "hidden_states": noise(1, 16 * size, channels),
        "encoder_hidden_states": noise(1, 12, 32),
        "img_ids": grid(16 * size),
        "txt_ids": torch.zeros(12, 3),
    }


def flux() -> SmallModel:
    return SmallModel(
        diffusers.FluxTransformer2DModel,
        COMMON | {"pooled_projection_dim": 32},
        lambda size: image_and_text(size) | {"pooled_projections": noise(1, 32)},
        scale=1.0,
    )


def flux_controlled() -> SmallModel:
    """FLUX with a ControlNet's residuals, which the model adds after every block."""
    return SmallModel(
        diffusers.FluxTransformer2DModel,
        COMMON | {"pooled_projection_dim": 32},
        lambda size: (
            image_and_text(size)
            | {
                "pooled_projections": noise(1, 32),
                "controlnet_block_samples": [noise(1, 16 * size, 32) for _ in range(2)],
                "controlnet_single_block_samples": [noise(1, 16 * size, 32) for _ in range(2)],
            }
        ),
        scale=1.0,
    )


def flux2() -> SmallModel:
    config = COMMON | {"timestep_guidance_channels": 32, "axes_dims_rope": [4, 4, 4, 4]}
    return SmallModel(
        diffusers.Flux2Transformer2DModel,
        config,
        lambda size: (
            image_and_text(size)
            | {"img_ids": grid(16 * size, 4), "txt_ids": torch.zeros(12, 4), "guidance": torch.ones(1)}
        ),
        scale=1.0,
    )


def flux3() -> SmallModel:
    config = {
        "in_channels": 4,
        "cond_in_channels": 4,
        "num_layers": 2,
        "num_single_layers": 2,
        "attention_head_dim": 16,
        "num_attention_heads": 2,
        "joint_attention_dim": 32,
        "timestep_channels": 32,
        "axes_dims_rope": (4, 4, 4, 4),
    }
    return SmallModel(
        diffusers.Flux3Transformer2DModel,
        config,
        lambda size: (
            image_and_text(size)
            | {
                "img_ids": grid(16 * size, 4),
                "txt_ids": torch.zeros(12, 4),
                "image_cond_hidden_states": noise(1, 8, 4),
                "image_cond_ids": grid(8, 4),
            }
        ),
        scale=1.0,
    )


def chroma() -> SmallModel:
    config = COMMON | {"approximator_num_channels": 8, "approximator_hidden_dim": 16, "approximator_layers": 1}
    return SmallModel(diffusers.ChromaTransformer2DModel, config, image_and_text, scale=1.0)


def bria() -> SmallModel:
    config = COMMON | {"pooled_projection_dim": None, "attention_head_dim": 8, "axes_dims_rope": [0, 4, 4]}
    return SmallModel(diffusers.BriaTransformer2DModel, config, image_and_text, scale=1.0)


def bria_fibo() -> SmallModel:
    config = COMMON | {
        "in_channels": 48,
        "attention_head_dim": 8,
        "joint_attention_dim": 64,
        "text_encoder_dim": 32,
        "pooled_projection_dim": None,
        "axes_dims_rope": [0, 4, 4],
    }
    return SmallModel(
        diffusers.BriaFiboTransformer2DModel,
        config,
        lambda size: (
            image_and_text(size, 48)
            | {"encoder_hidden_states": noise(1, 12, 64), "text_encoder_layers": [noise(1, 12, 32) for _ in range(4)]}
        ),
        scale=1.0,
    )


def longcat_image() -> SmallModel:
    return SmallModel(
        diffusers.LongCatImageTransformer2DModel,
        COMMON | {"pooled_projection_dim": 32},
        lambda size: image_and_text(size) | {"guidance": torch.tensor([3.5])},
        scale=1.0,
    )


def ovis_image() -> SmallModel:
    return SmallModel(diffusers.OvisImageTransformer2DModel, COMMON | {"out_channels": 4}, image_and_text, scale=1.0)


def hidream() -> SmallModel:
    config = {
        "patch_size": 2,
        "in_channels": 4,
        "out_channels": 4,
        "num_layers": 2,
        "num_single_layers": 2,
        "attention_head_dim": 8,
        "num_attention_heads": 4,
        "caption_channels": [8, 4],
        "text_emb_dim": 8,
        "num_routed_experts": 2,
        "num_activated_experts": 2,
        "axes_dims_rope": (4, 2, 2),
        "max_resolution": (32, 32),
        "llama_layers": (0, 1, 0, 1),
        "force_inference_output": True,
    }
    return SmallModel(
        diffusers.HiDreamImageTransformer2DModel,
        config,
        lambda size: {
            "hidden_states": noise(2, 4, 8, 8 * size),
            "encoder_hidden_states_t5": noise(2, 8, 8),
            "encoder_hidden_states_llama3": noise(2, 2, 8, 4),
            "pooled_embeds": noise(2, 8),
        },
        timestep="timesteps",
    )


def aura_flow() -> SmallModel:
    config = {
        "sample_size": 16,
        "patch_size": 2,
        "in_channels": 4,
        "num_mmdit_layers": 2,
        "num_single_dit_layers": 2,
        "attention_head_dim": 8,
        "num_attention_heads": 4,
        "caption_projection_dim": 32,
        "joint_attention_dim": 32,
        "out_channels": 4,
        "pos_embed_max_size": 64,
    }
    return SmallModel(
        diffusers.AuraFlowTransformer2DModel,
        config,
        lambda size: {"hidden_states": noise(2, 4, 8, 8 * size), "encoder_hidden_states": noise(2, 12, 32)},
        scale=1.0,
    )


MODELS = (flux, flux_controlled, flux2, flux3, chroma, bria, bria_fibo, longcat_image, ovis_image, hidream, aura_flow)
