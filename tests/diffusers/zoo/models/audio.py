"""Sound, and models of sound and pictures together."""

from __future__ import annotations

import diffusers
import torch

from zoo.parts import SmallModel, noise, ones


def ace_step() -> SmallModel:
    config = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "in_channels": 24,
        "audio_acoustic_hidden_dim": 8,
        "patch_size": 2,
        "rope_theta": 10000.0,
        "rms_norm_eps": 1e-06,
        "sliding_window": 16,
    }
    return SmallModel(
        diffusers.AceStepTransformer1DModel,
        config,
        lambda size: {
            "hidden_states": noise(2, 8 * size, 8),
            "timestep_r": torch.zeros(2),
            "encoder_hidden_states": noise(2, 10, 32),
            "context_latents": noise(2, 8 * size, 16),
        },
        scale=1.0,
    )


def stable_audio() -> SmallModel:
    config = {
        "sample_size": 4,
        "in_channels": 3,
        "num_layers": 3,
        "attention_head_dim": 4,
        "num_attention_heads": 2,
        "num_key_value_attention_heads": 2,
        "out_channels": 3,
        "cross_attention_dim": 4,
        "time_proj_dim": 8,
        "global_states_input_dim": 8,
        "cross_attention_input_dim": 4,
    }
    return SmallModel(
        diffusers.StableAudioDiTModel,
        config,
        lambda size: {
            "hidden_states": noise(2, 3, 8 * size),
            "encoder_hidden_states": noise(2, 5, 4),
            "global_hidden_states": noise(2, 1, 8),
            "rotary_embedding": (torch.ones(1 + 8 * size, 2), torch.zeros(1 + 8 * size, 2)),
        },
        scale=1.0,
    )


def stable_audio_3() -> SmallModel:
    config = {
        "io_channels": 8,
        "patch_size": 1,
        "embed_dim": 32,
        "depth": 3,
        "num_heads": 4,
        "cond_token_dim": 16,
        "global_cond_dim": 12,
        "local_add_cond_dim": 5,
        "timestep_features_dim": 16,
        "ff_mult": 2,
        "num_memory_tokens": 3,
        "use_differential_attention": False,
    }
    return SmallModel(
        diffusers.StableAudio3DiTModel,
        config,
        lambda size: {
            "hidden_states": noise(2, 8, 16 * size),
            "encoder_hidden_states": noise(2, 4, 16),
            "global_hidden_states": noise(2, 12),
        },
        scale=1.0,
    )


def longcat_audio() -> SmallModel:
    config = {
        "dit_dim": 64,
        "dit_depth": 3,
        "dit_heads": 4,
        "dit_text_dim": 32,
        "latent_dim": 8,
        "text_conv": False,
    }
    return SmallModel(
        diffusers.LongCatAudioDiTTransformer,
        config,
        lambda size: {
            "hidden_states": noise(1, 16 * size, 8),
            "encoder_hidden_states": noise(1, 10, 32),
            "encoder_attention_mask": ones(1, 10),
            "attention_mask": ones(1, 16 * size),
        },
        scale=1.0,
    )


def minimax_h3() -> SmallModel:
    config = {
        "num_attention_heads": 2,
        "attention_head_dim": 16,
        "hidden_size": 24,
        "num_layers": 3,
        "num_refiner_layers": 2,
        "ffn_dim": 32,
        "in_channels": 4,
        "audio_in_channels": 6,
        "patch_size": (1, 2, 2),
        "text_dim": 8,
        "freq_dim": 8,
        "time_embed_hidden_dim": 24,
        "time_embed_dim": 16,
        "rope_freq_dim": 2,
    }

    def inputs(size: int) -> dict[str, object]:
        text, audio, video = 4, 6, 8 * size
        tags = torch.tensor([0] * text + [2] * audio + [1] * video)
        return {
            "hidden_states": noise(1, video, 16),
            "audio_hidden_states": noise(1, audio, 6),
            "encoder_hidden_states": noise(1, text, 8),
            "timestep_indices": torch.zeros(len(tags), dtype=torch.int64),
            "token_tags": tags,
            "position_ids": noise(len(tags), 3),
            "video_indices": torch.arange(text + audio, len(tags)),
            "audio_indices": torch.arange(text, text + audio),
            "text_indices": torch.arange(text),
        }

    return SmallModel(diffusers.MiniMaxH3Transformer3DModel, config, inputs, scale=1.0)


def minimax_music_3() -> SmallModel:
    config = {
        "in_channels": 8,
        "condition_dim": 16,
        "num_layers": 3,
        "num_attention_heads": 2,
        "attention_head_dim": 8,
        "ff_inner_dim": 32,
        "rotary_dim": 4,
        "fourier_embedding_dim": 8,
    }
    return SmallModel(
        diffusers.MiniMaxMusic3Transformer1DModel,
        config,
        lambda size: {"hidden_states": noise(1, 8, 24 * size), "encoder_hidden_states": noise(1, 24 * size, 16)},
        scale=1.0,
    )


MODELS = (ace_step, stable_audio, stable_audio_3, longcat_audio, minimax_h3, minimax_music_3)
