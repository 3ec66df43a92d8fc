"""Video pipelines outside Wan's family."""

from __future__ import annotations

from typing import Any

import diffusers
import torch
from diffusers.guiders import ClassifierFreeGuidance

from zoo.models import MODELS
from zoo.parts import build, noise, ones
from zoo.pipes import SmallPipeline, quiet
from zoo.vaes import (
    allegro_vae,
    cogvideox_vae,
    cosmos_vae,
    hunyuan15_vae,
    hunyuan_vae,
    image_vae,
    ltx_vae,
    mochi_vae,
    wan_vae,
)

NO_TEXT = {"tokenizer": None, "text_encoder": None}


def flow(**more: object) -> Any:
    return diffusers.FlowMatchEulerDiscreteScheduler(**{"shift": 7.0, **more})


def hunyuan_video() -> SmallPipeline:
    """Guidance is an input of the model; true guidance makes a second call."""
    return SmallPipeline(
        lambda: quiet(
            diffusers.HunyuanVideoPipeline(
                **NO_TEXT,
                tokenizer_2=None,
                text_encoder_2=None,
                vae=hunyuan_vae(),
                scheduler=flow(),
                transformer=MODELS["hunyuan_video"].make(),
            )
        ),
        lambda size: {
            "prompt_embeds": noise(1, 12, 16),
            "pooled_prompt_embeds": noise(1, 8),
            "prompt_attention_mask": ones(1, 12),
            "negative_prompt_embeds": noise(1, 12, 16),
            "negative_pooled_prompt_embeds": noise(1, 8),
            "negative_prompt_attention_mask": ones(1, 12),
            "true_cfg_scale": 3.0,
            "height": 32,
            "width": 32 * size,
            "num_frames": 5,
        },
        unguided={"true_cfg_scale": 1.0},
    )


def hunyuan_video_15() -> SmallPipeline:
    """Guidance by a guider, in calls of their own."""

    def make() -> Any:
        model = MODELS["hunyuan_video_15"]
        return quiet(
            diffusers.HunyuanVideo15Pipeline(
                **NO_TEXT,
                tokenizer_2=None,
                text_encoder_2=None,
                vae=hunyuan15_vae(),
                scheduler=flow(),
                transformer=build(model.kind, model.config | {"in_channels": 9}),
                guider=ClassifierFreeGuidance(guidance_scale=6.0),
            )
        )

    def call(size: int) -> dict[str, Any]:
        text = {"embeds": (6, 16), "embeds_2": (4, 8)}
        given: dict[str, Any] = {"height": 32, "width": 32 * size, "num_frames": 5}
        for sign in ("", "negative_"):
            for name, (length, width) in text.items():
                given[f"{sign}prompt_{name}"] = noise(1, length, width)
                given[f"{sign}prompt_{name}_mask".replace("embeds_2_mask", "embeds_mask_2")] = ones(1, length)
        return given

    return SmallPipeline(make, call, unguided=None)


def cogvideox_of(scheduler: Any) -> Any:
    return quiet(
        diffusers.CogVideoXPipeline(
            **NO_TEXT, vae=cogvideox_vae(), scheduler=scheduler, transformer=MODELS["cogvideox"].make()
        )
    )


def video_of_8(size: int) -> dict[str, Any]:
    return {
        "prompt_embeds": noise(1, 8, 8),
        "negative_prompt_embeds": noise(1, 8, 8),
        "height": 32,
        "width": 32 * size,
        "num_frames": 5,
        "guidance_scale": 6.0,
    }


SAMPLING = {
    "prediction_type": "v_prediction",
    "rescale_betas_zero_snr": True,
    "timestep_spacing": "trailing",
    "snr_shift_scale": 3.0,
}
"""As CogVideoX-2b is published."""


def cogvideox() -> SmallPipeline:
    """A sampler that keeps no step index."""
    return SmallPipeline(lambda: cogvideox_of(diffusers.CogVideoXDDIMScheduler(**SAMPLING)), video_of_8, calls=(1, 1))


def cogvideox_dpm() -> SmallPipeline:
    return SmallPipeline(lambda: cogvideox_of(diffusers.CogVideoXDPMScheduler(**SAMPLING)), video_of_8, calls=(1, 1))


def ltx_call(size: int) -> dict[str, Any]:
    return {
        "prompt_embeds": noise(1, 16, 16),
        "prompt_attention_mask": ones(1, 16),
        "negative_prompt_embeds": noise(1, 16, 16),
        "negative_prompt_attention_mask": ones(1, 16),
        "height": 32,
        "width": 32 * size,
        "num_frames": 5,
        "guidance_scale": 3.0,
    }


def ltx() -> SmallPipeline:
    return SmallPipeline(
        lambda: quiet(
            diffusers.LTXPipeline(**NO_TEXT, vae=ltx_vae(), scheduler=flow(), transformer=MODELS["ltx"].make())
        ),
        ltx_call,
        calls=(1, 1),
    )


def ltx_condition() -> SmallPipeline:
    return SmallPipeline(
        lambda: quiet(
            diffusers.LTXConditionPipeline(**NO_TEXT, vae=ltx_vae(), scheduler=flow(), transformer=MODELS["ltx"].make())
        ),
        ltx_call,
        calls=(1, 1),
    )


def mochi() -> SmallPipeline:
    return SmallPipeline(
        lambda: quiet(
            diffusers.MochiPipeline(**NO_TEXT, vae=mochi_vae(), scheduler=flow(), transformer=MODELS["mochi"].make())
        ),
        lambda size: ltx_call(size) | {"num_frames": 7},
        calls=(1, 1),
    )


def allegro() -> SmallPipeline:
    return SmallPipeline(
        lambda: quiet(
            diffusers.AllegroPipeline(
                **NO_TEXT,
                vae=allegro_vae(),
                scheduler=diffusers.DDIMScheduler(),
                transformer=MODELS["allegro"].make(),
            )
        ),
        lambda size: {
            "prompt_embeds": noise(1, 16, 8),
            "prompt_attention_mask": ones(1, 16),
            "negative_prompt_embeds": noise(1, 16, 8),
            "negative_prompt_attention_mask": ones(1, 16),
            "height": 64,
            "width": 64 * size,
            "num_frames": 8,
            "guidance_scale": 6.0,
            "negative_prompt": None,
        },
        calls=(1, 1),
    )


def latte() -> SmallPipeline:
    """Frames and places in turn: blocks of two layouts."""

    def make() -> Any:
        model = MODELS["latte"]
        return quiet(
            diffusers.LattePipeline(
                **NO_TEXT,
                vae=image_vae(),
                scheduler=diffusers.DDIMScheduler(),
                transformer=build(model.kind, model.config | {"sample_size": 8}),
            )
        )

    return SmallPipeline(
        make,
        lambda size: {
            "prompt_embeds": noise(1, 8, 8),
            "negative_prompt_embeds": noise(1, 8, 8),
            "negative_prompt": None,
            "height": 16,
            "width": 16 * size,
            "video_length": 2,
            "guidance_scale": 5.0,
            "clean_caption": False,
        },
        calls=(1, 1),
    )


def sana_video() -> SmallPipeline:
    return SmallPipeline(
        lambda: quiet(
            diffusers.SanaVideoPipeline(
                **NO_TEXT, vae=wan_vae(), scheduler=flow(), transformer=MODELS["sana_video"].make()
            )
        ),
        lambda size: {
            "prompt_embeds": noise(1, 12, 16),
            "prompt_attention_mask": ones(1, 12, dtype=torch.int64),
            "negative_prompt_embeds": noise(1, 12, 16),
            "negative_prompt_attention_mask": ones(1, 12, dtype=torch.int64),
            "negative_prompt": None,
            "height": 32,
            "width": 32 * size,
            "frames": 5,
            "guidance_scale": 5.0,
            "use_resolution_binning": False,
        },
        calls=(1, 1),
    )


def harmless(**_: object) -> Any:
    """A safety checker that finds nothing."""

    class Harmless(torch.nn.Module):
        def check_text_safety(self, prompt: object) -> bool:
            return True

        def check_video_safety(self, video: Any) -> Any:
            return video

        @property
        def dtype(self) -> torch.dtype:
            return torch.float32

        @property
        def device(self) -> torch.device:
            return torch.device("cpu")

    return Harmless()


def cosmos() -> SmallPipeline:
    return SmallPipeline(
        lambda: quiet(
            diffusers.CosmosTextToWorldPipeline(
                **NO_TEXT,
                vae=cosmos_vae(),
                scheduler=diffusers.EDMEulerScheduler(sigma_data=0.5, sigma_max=80.0, sigma_min=0.002),
                transformer=MODELS["cosmos"].make(),
                safety_checker=harmless(),
            )
        ),
        lambda size: {
            "prompt_embeds": noise(1, 12, 16),
            "negative_prompt_embeds": noise(1, 12, 16),
            "height": 32,
            "width": 32 * size,
            "num_frames": 5,
            "guidance_scale": 3.0,
        },
    )


def kandinsky5() -> SmallPipeline:
    def make() -> Any:
        return quiet(
            diffusers.Kandinsky5T2VPipeline(
                **NO_TEXT,
                tokenizer_2=None,
                text_encoder_2=None,
                vae=hunyuan_vae(),
                scheduler=flow(),
                transformer=MODELS["kandinsky5"].make(),
            )
        )

    def call(size: int) -> dict[str, Any]:
        given: dict[str, Any] = {"height": 32, "width": 32 * size, "num_frames": 5, "guidance_scale": 5.0}
        for sign in ("", "negative_"):
            given[f"{sign}prompt_embeds_qwen"] = noise(1, 6, 16)
            given[f"{sign}prompt_embeds_clip"] = noise(1, 8)
            given[f"{sign}prompt_cu_seqlens"] = torch.tensor([0, 6], dtype=torch.int32)
        return given

    return SmallPipeline(make, call)


PIPELINES = (
    hunyuan_video,
    hunyuan_video_15,
    cogvideox,
    cogvideox_dpm,
    ltx,
    ltx_condition,
    mochi,
    allegro,
    latte,
    sana_video,
    cosmos,
    kandinsky5,
)
