"""Video models outside the larger families."""

from __future__ import annotations

import diffusers
import torch
from diffusers.models.embeddings import get_3d_rotary_pos_embed_allegro

from zoo.parts import SmallModel, noise, ones

BASIC = {
    "patch_size": 2,
    "attention_head_dim": 4,
    "num_attention_heads": 2,
    "in_channels": 4,
    "cross_attention_dim": 8,
    "attention_bias": True,
    "activation_fn": "gelu-approximate",
    "norm_type": "ada_norm_single",
    "norm_elementwise_affine": False,
    "norm_eps": 1e-06,
}


def allegro() -> SmallModel:
    config = {
        "num_attention_heads": 2,
        "attention_head_dim": 12,
        "in_channels": 4,
        "out_channels": 4,
        "num_layers": 3,
        "cross_attention_dim": 24,
        "sample_width": 8,
        "sample_height": 8,
        "sample_frames": 8,
        "caption_channels": 8,
    }

    return SmallModel(
        diffusers.AllegroTransformer3DModel,
        config,
        lambda size: {
            "hidden_states": noise(2, 4, 2, 8, 8 * size),
            "encoder_hidden_states": noise(2, 16, 8),
            "image_rotary_emb": allegro_rotary(2, 4, 4 * size),
        },
    )


def allegro_rotary(frames: int, height: int, width: int) -> tuple[object, object]:
    """Rotary angles of a grid and the places they are for, as Allegro's pipeline prepares them."""
    *angles, t, h, w = get_3d_rotary_pos_embed_allegro(
        embed_dim=12, crops_coords=((0, 0), (height, width)), grid_size=(height, width), temporal_size=frames
    )
    places = torch.cartesian_prod(t.long(), h.long(), w.long()).T.reshape(3, 1, -1).contiguous()
    return tuple(angles), tuple(places)


def latte() -> SmallModel:
    config = BASIC | {
        "sample_size": 8,
        "num_layers": 3,
        "caption_channels": 8,
        "out_channels": 8,
        "num_embeds_ada_norm": 1000,
        "video_length": 2,
    }
    return SmallModel(
        diffusers.LatteTransformer3DModel,
        config,
        lambda size: {"hidden_states": noise(2 * size, 4, 2, 8, 8), "encoder_hidden_states": noise(2 * size, 8, 8)},
    )


def mochi() -> SmallModel:
    config = {
        "patch_size": 2,
        "num_attention_heads": 2,
        "attention_head_dim": 8,
        "num_layers": 3,
        "pooled_projection_dim": 16,
        "in_channels": 4,
        "qk_norm": "rms_norm",
        "text_embed_dim": 16,
        "time_embed_dim": 4,
        "activation_fn": "swiglu",
        "max_sequence_length": 16,
    }
    return SmallModel(
        diffusers.MochiTransformer3DModel,
        config,
        lambda size: {
            "hidden_states": noise(2, 4, 2, 8, 8 * size),
            "encoder_hidden_states": noise(2, 16, 16),
            "encoder_attention_mask": ones(2, 16),
        },
    )


COSMOS = {
    "in_channels": 4,
    "out_channels": 4,
    "num_attention_heads": 2,
    "attention_head_dim": 12,
    "num_layers": 3,
    "mlp_ratio": 2,
    "text_embed_dim": 16,
    "adaln_lora_dim": 4,
    "max_size": (4, 32, 32),
    "patch_size": (1, 2, 2),
    "rope_scale": (2.0, 1.0, 1.0),
    "concat_padding_mask": True,
    "extra_pos_embed_type": "learnable",
}


def cosmos() -> SmallModel:
    return SmallModel(
        diffusers.CosmosTransformer3DModel,
        COSMOS,
        lambda size: {
            "hidden_states": noise(1, 4, 1, 8, 8 * size),
            "encoder_hidden_states": noise(1, 12, 16),
            "fps": 30,
            "padding_mask": torch.zeros(1, 1, 8, 8 * size),
        },
    )


def cosmos3() -> SmallModel:
    config = {
        "head_dim": 6,
        "hidden_act": "relu2",
        "hidden_size": 12,
        "intermediate_size": 24,
        "latent_channel": 2,
        "latent_patch_size": 1,
        "num_attention_heads": 2,
        "num_hidden_layers": 3,
        "num_key_value_heads": 1,
        "patch_latent_dim": 2,
        "qk_norm_for_text": False,
        "rms_norm_eps": 1e-05,
        "rope_axes_dim": [1, 1, 1],
        "rope_theta": 100000000.0,
        "vocab_size": 32,
    }

    def inputs(size: int) -> dict[str, object]:
        frames = 2
        height = size
        tokens = frames * height
        places = torch.arange(2, 2 + tokens)
        return {
            "input_ids": torch.tensor([1, 2]),
            "text_indexes": torch.tensor([0, 1]),
            "position_ids": torch.arange(2 + tokens).expand(3, -1),
            "und_len": 2,
            "sequence_length": 2 + tokens,
            "vision_tokens": [noise(1, 2, frames, height, 1)],
            "vision_token_shapes": [(frames, height, 1)],
            "vision_sequence_indexes": places,
            "vision_mse_loss_indexes": places,
            "vision_noisy_frame_indexes": [torch.arange(frames)],
        }

    return SmallModel(
        diffusers.Cosmos3OmniTransformer,
        config,
        inputs,
        noisy="vision_tokens",
        timestep="vision_timesteps",
        scale=1.0,
        timestep_shape=(4,),
    )


def easy_animate() -> SmallModel:
    config = {
        "attention_head_dim": 16,
        "num_attention_heads": 2,
        "in_channels": 4,
        "mmdit_layers": 2,
        "num_layers": 3,
        "out_channels": 4,
        "patch_size": 2,
        "sample_height": 60,
        "sample_width": 90,
        "text_embed_dim": 16,
        "time_embed_dim": 8,
        "time_position_encoding_type": "3d_rope",
        "timestep_activation_fn": "silu",
    }
    return SmallModel(
        diffusers.EasyAnimateTransformer3DModel,
        config,
        lambda size: {"hidden_states": noise(2, 4, 2, 8, 8 * size), "encoder_hidden_states": noise(2, 16, 16)},
    )


def kandinsky5() -> SmallModel:
    config = {
        "in_visual_dim": 4,
        "in_text_dim": 16,
        "in_text_dim2": 8,
        "time_dim": 16,
        "out_visual_dim": 4,
        "model_dim": 16,
        "ff_dim": 32,
        "num_text_blocks": 1,
        "num_visual_blocks": 3,
        "axes_dims": (4, 6, 6),
    }
    return SmallModel(
        diffusers.Kandinsky5Transformer3DModel,
        config,
        lambda size: {
            "hidden_states": noise(1, 2, 8, 8 * size, 4),
            "encoder_hidden_states": noise(1, 6, 16),
            "pooled_projections": noise(1, 8),
            "visual_rope_pos": [torch.arange(2), torch.arange(4), torch.arange(4 * size)],
            "text_rope_pos": torch.arange(6),
        },
        timestep_shape=(1,),
    )


def kandinsky6() -> SmallModel:
    """Pictures and sound in one body."""
    config = {
        "in_visual_dim": 4,
        "out_visual_dim": 4,
        "in_text_dim": 16,
        "in_text_dim2": 8,
        "time_dim": 16,
        "model_dim": 32,
        "ff_dim": 32,
        "num_text_blocks": 1,
        "num_visual_blocks": 3,
        "axes_dims": (4, 6, 6),
        "visual_cond": False,
        "in_audio_dim": 4,
        "out_audio_dim": 4,
    }
    return SmallModel(
        diffusers.Kandinsky6Transformer3DModel,
        config,
        lambda size: {
            "hidden_states": noise(1, 2, 8, 8 * size, 4),
            "encoder_hidden_states": noise(1, 6, 16),
            "pooled_projections": noise(1, 8),
            "audio_hidden_states": noise(1, 5, 4),
        },
    )


def kandinsky6_sr() -> SmallModel:
    config = {
        "in_visual_dim": 4,
        "out_visual_dim": 4,
        "time_dim": 16,
        "model_dim": 32,
        "ff_dim": 32,
        "num_visual_blocks": 3,
        "axes_dims": (4, 6, 6),
    }
    return SmallModel(
        diffusers.Kandinsky6SRTransformer3DModel,
        config,
        lambda size: {"hidden_states": noise(1, 1, 8, 8 * size, 9)},
    )


def motif_video() -> SmallModel:
    config = {
        "in_channels": 9,
        "out_channels": 4,
        "num_attention_heads": 2,
        "attention_head_dim": 12,
        "num_layers": 2,
        "num_single_layers": 2,
        "num_decoder_layers": 0,
        "mlp_ratio": 4.0,
        "patch_size": 1,
        "patch_size_t": 1,
        "qk_norm": "rms_norm",
        "norm_type": "layer_norm",
        "text_embed_dim": 32,
        "image_embed_dim": 4,
        "rope_theta": 256.0,
        "rope_axes_dim": (4, 4, 4),
        "enable_text_cross_attention_dual": False,
        "enable_text_cross_attention_single": False,
    }
    return SmallModel(
        diffusers.MotifVideoTransformer3DModel,
        config,
        lambda size: {"hidden_states": noise(1, 9, 2, 8, 8 * size), "encoder_hidden_states": noise(1, 12, 32)},
    )


def motif_video_decoder() -> SmallModel:
    """The shipped sizes end in decoder layers: single blocks that take other arguments."""
    entry = motif_video()
    return SmallModel(entry.kind, entry.config | {"num_single_layers": 4, "num_decoder_layers": 2}, entry.inputs)


MODELS = (
    allegro,
    latte,
    mochi,
    cosmos,
    cosmos3,
    easy_animate,
    kandinsky5,
    kandinsky6,
    kandinsky6_sr,
    motif_video,
    motif_video_decoder,
)
