"""Image models whose text joins the image before the body."""

from __future__ import annotations

import diffusers
import torch
from diffusers.models.embeddings import get_2d_rotary_pos_embed_lumina

from zoo.parts import SmallModel, noise, ones


def z_image() -> SmallModel:
    config = {
        "all_patch_size": (2,),
        "all_f_patch_size": (1,),
        "in_channels": 4,
        "dim": 16,
        "n_layers": 3,
        "n_refiner_layers": 1,
        "n_heads": 1,
        "n_kv_heads": 2,
        "qk_norm": True,
        "cap_feat_dim": 16,
        "rope_theta": 256.0,
        "t_scale": 1000.0,
        "axes_dims": [8, 4, 4],
        "axes_lens": [256, 32, 32],
    }
    return SmallModel(
        diffusers.ZImageTransformer2DModel,
        config,
        lambda size: {"x": [noise(4, 1, 8, 8 * size)], "cap_feats": [noise(16, 16)]},
        noisy="x",
        timestep="t",
        scale=1.0,
    )


LUMINA = {
    "sample_size": 8,
    "patch_size": 2,
    "in_channels": 4,
    "hidden_size": 24,
    "num_layers": 3,
    "num_attention_heads": 3,
    "num_kv_heads": 1,
    "norm_eps": 1e-05,
    "scaling_factor": 1.0,
}


def lumina() -> SmallModel:
    config = LUMINA | {"multiple_of": 16, "learn_sigma": False, "cross_attention_dim": 32}
    return SmallModel(
        diffusers.LuminaNextDiT2DModel,
        config,
        lambda size: {
            "hidden_states": noise(2, 4, 8, 8 * size),
            "encoder_hidden_states": noise(2, 16, 32),
            "encoder_mask": torch.ones(2, 16),
            "image_rotary_emb": get_2d_rotary_pos_embed_lumina(8, 384, 384),
            "cross_attention_kwargs": {},
        },
        scale=1.0,
    )


def lumina2() -> SmallModel:
    config = LUMINA | {
        "num_refiner_layers": 1,
        "multiple_of": 2,
        "axes_dim_rope": (4, 2, 2),
        "axes_lens": (128, 128, 128),
        "cap_feat_dim": 32,
    }
    return SmallModel(
        diffusers.Lumina2Transformer2DModel,
        config,
        lambda size: {
            "hidden_states": noise(2, 4, 8, 8 * size),
            "encoder_hidden_states": noise(2, 16, 32),
            "encoder_attention_mask": ones(2, 16),
        },
        scale=1.0,
    )


def omnigen() -> SmallModel:
    config = {
        "hidden_size": 16,
        "num_attention_heads": 4,
        "num_key_value_heads": 4,
        "intermediate_size": 32,
        "num_layers": 3,
        "pad_token_id": 0,
        "vocab_size": 1000,
        "in_channels": 4,
        "time_step_dim": 4,
        "rope_scaling": {"long_factor": [1, 2], "short_factor": [1, 2]},
    }

    def inputs(size: int) -> dict[str, object]:
        length = 24 + 1 + 16 * size
        return {
            "hidden_states": noise(2, 4, 8, 8 * size),
            "input_ids": torch.arange(24).expand(2, -1) % 10,
            "input_img_latents": [noise(1, 4, 8, 8)],
            "input_image_sizes": {0: [[0, 16]]},
            "attention_mask": torch.ones(2, length, length),
            "position_ids": torch.arange(length).expand(2, -1),
        }

    return SmallModel(diffusers.OmniGenTransformer2DModel, config, inputs, scale=1.0)


def ernie_image() -> SmallModel:
    config = {
        "hidden_size": 16,
        "num_attention_heads": 1,
        "num_layers": 3,
        "ffn_hidden_size": 16,
        "in_channels": 4,
        "out_channels": 4,
        "patch_size": 1,
        "text_in_dim": 16,
        "rope_theta": 256,
        "rope_axes_dim": (8, 4, 4),
        "eps": 1e-06,
        "qk_layernorm": True,
    }
    return SmallModel(
        diffusers.ErnieImageTransformer2DModel,
        config,
        lambda size: {
            "hidden_states": noise(1, 4, 8, 8 * size),
            "text_bth": noise(1, 16, 16),
            "text_lens": torch.tensor([16]),
        },
    )


def krea2() -> SmallModel:
    config = {
        "in_channels": 16,
        "num_layers": 3,
        "attention_head_dim": 8,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "intermediate_size": 32,
        "timestep_embed_dim": 8,
        "text_hidden_dim": 16,
        "num_text_layers": 3,
        "text_num_attention_heads": 2,
        "text_num_key_value_heads": 1,
        "text_intermediate_size": 16,
        "num_layerwise_text_blocks": 1,
        "num_refiner_text_blocks": 1,
        "axes_dims_rope": (4, 2, 2),
        "rope_theta": 1000.0,
        "norm_eps": 1e-05,
    }
    return SmallModel(
        diffusers.Krea2Transformer2DModel,
        config,
        lambda size: {
            "hidden_states": noise(1, 4 * size, 16),
            "encoder_hidden_states": noise(1, 4, 3, 16),
            "position_ids": torch.arange(4 + 4 * size, dtype=torch.float32)[:, None].expand(-1, 3),
            "encoder_attention_mask": ones(1, 4),
        },
        scale=1.0,
    )


def ideogram4() -> SmallModel:
    config = {
        "in_channels": 16,
        "num_layers": 3,
        "attention_head_dim": 8,
        "num_attention_heads": 4,
        "intermediate_size": 32,
        "adaln_dim": 16,
        "llm_features_dim": 24,
        "rope_theta": 10000,
        "mrope_section": (2, 1, 1),
        "norm_eps": 1e-05,
    }

    def inputs(size: int) -> dict[str, object]:
        text, image = 4, 4 * size
        places = torch.arange(text + image)[None, :, None].expand(1, -1, 3)
        return {
            "hidden_states": noise(1, text + image, 16),
            "encoder_hidden_states": noise(1, text + image, 24),
            "position_ids": places,
            "segment_ids": ones(1, text + image, dtype=torch.int64),
            "indicator": torch.tensor([[3] * text + [2] * image]),
        }

    return SmallModel(diffusers.Ideogram4Transformer2DModel, config, inputs, scale=1.0)


def prx() -> SmallModel:
    config = {
        "in_channels": 4,
        "patch_size": 2,
        "context_in_dim": 16,
        "hidden_size": 16,
        "mlp_ratio": 2.0,
        "num_heads": 2,
        "depth": 3,
        "axes_dim": [4, 4],
        "theta": 10000,
    }
    return SmallModel(
        diffusers.PRXTransformer2DModel,
        config,
        lambda size: {"hidden_states": noise(1, 4, 8, 8 * size), "encoder_hidden_states": noise(1, 16, 16)},
        scale=1.0,
    )


def bria_fibo2() -> SmallModel:
    config = {
        "in_channels": 4,
        "dim": 24,
        "n_layers": 3,
        "n_refiner_layers": 1,
        "n_heads": 2,
        "cap_feat_dim": 16,
        "injection_layer_ids": (1,),
        "perceiver_num_layers": 1,
        "min_num_gist_tokens": 4,
        "max_num_gist_tokens": 8,
        "gist_step": 4,
        "gist_min_text_len": 4,
        "gist_max_text_len": 16,
        "axes_dims": (4, 4, 4),
        "axes_lens": (32, 32, 32),
    }
    return SmallModel(
        diffusers.BriaFibo2Transformer2DModel,
        config,
        lambda size: {"hidden_states": noise(1, 4, 8, 8 * size), "encoder_hidden_states": noise(1, 2, 6, 16)},
        scale=1.0,
    )


MODELS = (z_image, lumina, lumina2, omnigen, ernie_image, krea2, ideogram4, prx, bria_fibo2)
