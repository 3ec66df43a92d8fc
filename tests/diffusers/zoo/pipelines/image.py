"""Image pipelines outside FLUX's family."""

from __future__ import annotations

from typing import Any

import diffusers
import torch

from zoo.models import MODELS
from zoo.models.qwen import COMMON as QWEN
from zoo.models.sd3 import SD3
from zoo.parts import build, noise, ones
from zoo.pipes import SmallPipeline, quiet
from zoo.vaes import dc_vae, image_vae, qwen_vae

NO_TEXT = {"tokenizer": None, "text_encoder": None}
NO_TEXTS = NO_TEXT | {"tokenizer_2": None, "text_encoder_2": None}


def flow(**more: object) -> Any:
    return diffusers.FlowMatchEulerDiscreteScheduler(**more)


def sd3_parts(**more: object) -> dict[str, Any]:
    return {
        **NO_TEXTS,
        "tokenizer_3": None,
        "text_encoder_3": None,
        "vae": image_vae(),
        "scheduler": flow(),
        "transformer": MODELS["sd3"].make(),
        **more,
    }


def sd3_call(size: int) -> dict[str, Any]:
    return {
        "prompt_embeds": noise(1, 12, 32),
        "pooled_prompt_embeds": noise(1, 64),
        "negative_prompt_embeds": noise(1, 12, 32),
        "negative_pooled_prompt_embeds": noise(1, 64),
        "guidance_scale": 5.0,
        "height": 16,
        "width": 16 * size,
    }


def sd3() -> SmallPipeline:
    return SmallPipeline(lambda: quiet(diffusers.StableDiffusion3Pipeline(**sd3_parts())), sd3_call, calls=(1, 1))


def sd3_heun() -> SmallPipeline:
    """A sampler of second order: two evaluations a step, but the last."""
    return SmallPipeline(
        lambda: quiet(
            diffusers.StableDiffusion3Pipeline(**sd3_parts(scheduler=diffusers.FlowMatchHeunDiscreteScheduler()))
        ),
        sd3_call,
        calls=(1, 1),
        evaluations=lambda steps: 2 * steps - 1,
    )


def sd3_skip_layer() -> SmallPipeline:
    """Skip-layer guidance: in the middle of the run a call that leaves a block out."""
    return SmallPipeline(
        lambda: quiet(diffusers.StableDiffusion3Pipeline(**sd3_parts())),
        lambda size: (
            sd3_call(size)
            | {
                "skip_guidance_layers": [1],
                "skip_layer_guidance_start": 0.0,
                "skip_layer_guidance_stop": 1.0,
            }
        ),
        unguided=None,
        calls=None,
    )


def sd3_image_to_image() -> SmallPipeline:
    return SmallPipeline(
        lambda: quiet(diffusers.StableDiffusion3Img2ImgPipeline(**sd3_parts())),
        lambda size: sd3_call(size) | {"image": noise(1, 3, 16, 16 * size).clip(0, 1), "strength": 0.6},
        calls=(1, 1),
        evaluations=lambda steps: steps - int(steps - steps * 0.6),
    )


def sd3_controlnet() -> SmallPipeline:
    def make() -> Any:
        controlnet = build(diffusers.SD3ControlNetModel, SD3 | {"num_layers": 2}, seed=2)
        return quiet(diffusers.StableDiffusion3ControlNetPipeline(**sd3_parts(controlnet=controlnet)))

    return SmallPipeline(
        make,
        lambda size: (
            sd3_call(size)
            | {"control_image": noise(1, 3, 16, 16 * size).clip(0, 1), "controlnet_conditioning_scale": 0.5}
        ),
        calls=(1, 1),
    )


def qwen_of(kind: Any, **more: object) -> Any:
    return quiet(kind(**NO_TEXT, vae=qwen_vae(), scheduler=flow(), transformer=MODELS["qwen_image"].make(), **more))


def qwen_call(size: int) -> dict[str, Any]:
    return {
        "prompt_embeds": noise(1, 8, 16),
        "prompt_embeds_mask": ones(1, 8, dtype=torch.int64),
        "negative_prompt_embeds": noise(1, 8, 16),
        "negative_prompt_embeds_mask": ones(1, 8, dtype=torch.int64),
        "true_cfg_scale": 3.0,
        "height": 32,
        "width": 32 * size,
    }


def qwen_image() -> SmallPipeline:
    return SmallPipeline(lambda: qwen_of(diffusers.QwenImagePipeline), qwen_call, unguided={"true_cfg_scale": 1.0})


def qwen_image_controlnet() -> SmallPipeline:
    def make() -> Any:
        controlnet = build(diffusers.QwenImageControlNetModel, QWEN | {"num_layers": 3}, seed=2)
        return qwen_of(diffusers.QwenImageControlNetPipeline, controlnet=controlnet)

    return SmallPipeline(
        make,
        lambda size: (
            qwen_call(size)
            | {"control_image": noise(1, 3, 32, 32 * size).clip(0, 1), "controlnet_conditioning_scale": 0.5}
        ),
        unguided={"true_cfg_scale": 1.0},
    )


def z_image() -> SmallPipeline:
    """Both branches in one call; prompts as lists."""
    return SmallPipeline(
        lambda: quiet(
            diffusers.ZImagePipeline(**NO_TEXT, vae=image_vae(), scheduler=flow(), transformer=MODELS["z_image"].make())
        ),
        lambda size: {
            "prompt_embeds": [noise(16, 16)],
            "negative_prompt_embeds": [noise(16, 16)],
            "guidance_scale": 3.0,
            "height": 32,
            "width": 32 * size,
        },
        unguided={"guidance_scale": 0.0},
        calls=(1, 1),
    )


def masked(size: int, width: int = 32, length: int = 16) -> dict[str, Any]:
    return {
        "prompt_embeds": noise(1, length, width),
        "prompt_attention_mask": ones(1, length),
        "negative_prompt_embeds": noise(1, length, width),
        "negative_prompt_attention_mask": ones(1, length),
        "guidance_scale": 4.0,
        "height": 16,
        "width": 16 * size,
    }


def lumina() -> SmallPipeline:
    def make() -> Any:
        model = MODELS["lumina"]
        return quiet(
            diffusers.LuminaPipeline(
                **NO_TEXT,
                vae=image_vae(),
                scheduler=flow(),
                transformer=build(model.kind, model.config | {"learn_sigma": True}),
            )
        )

    return SmallPipeline(make, masked, calls=(1, 1))


def lumina2() -> SmallPipeline:
    """Guidance in separate calls, and in a part of the steps where it is told so."""
    return SmallPipeline(
        lambda: quiet(
            diffusers.Lumina2Pipeline(
                **NO_TEXT, vae=image_vae(), scheduler=flow(), transformer=MODELS["lumina2"].make()
            )
        ),
        masked,
    )


def pixart_of(kind: Any) -> Any:
    return quiet(
        kind(
            **NO_TEXT,
            vae=image_vae(),
            scheduler=diffusers.DPMSolverMultistepScheduler(),
            transformer=MODELS["pixart"].make(),
        )
    )


def pixart_call(size: int) -> dict[str, Any]:
    return masked(size, 8, 8) | {"negative_prompt": None, "use_resolution_binning": False}


def pixart_alpha() -> SmallPipeline:
    return SmallPipeline(lambda: pixart_of(diffusers.PixArtAlphaPipeline), pixart_call, calls=(1, 1))


def pixart_sigma() -> SmallPipeline:
    return SmallPipeline(lambda: pixart_of(diffusers.PixArtSigmaPipeline), pixart_call, calls=(1, 1))


def dit() -> SmallPipeline:
    return SmallPipeline(
        lambda: quiet(
            diffusers.DiTPipeline(
                vae=image_vae(shift_factor=None),
                scheduler=diffusers.DDIMScheduler(),
                transformer=build(MODELS["dit"].kind, MODELS["dit"].config | {"num_embeds_ada_norm": 1000}),
            )
        ),
        lambda size: {"class_labels": [1] * size, "guidance_scale": 4.0, "output_type": "np"},
        calls=(1, 1),
    )


def sana() -> SmallPipeline:
    return SmallPipeline(
        lambda: quiet(
            diffusers.SanaPipeline(**NO_TEXT, vae=dc_vae(), scheduler=flow(), transformer=MODELS["sana"].make())
        ),
        lambda size: (
            masked(size, 8, 8)
            | {"negative_prompt": None, "use_resolution_binning": False, "height": 32, "width": 32 * size}
        ),
        calls=(1, 1),
    )


def cogview_call(size: int) -> dict[str, Any]:
    return {
        "prompt_embeds": noise(1, 8, 8),
        "negative_prompt_embeds": noise(1, 8, 8),
        "guidance_scale": 5.0,
        "height": 16,
        "width": 16 * size,
    }


def cogview3plus() -> SmallPipeline:
    return SmallPipeline(
        lambda: quiet(
            diffusers.CogView3PlusPipeline(
                **NO_TEXT,
                vae=image_vae(),
                scheduler=diffusers.CogVideoXDDIMScheduler(),
                transformer=MODELS["cogview3plus"].make(),
            )
        ),
        cogview_call,
        calls=(1, 1),
    )


def cogview4() -> SmallPipeline:
    return SmallPipeline(
        lambda: quiet(
            diffusers.CogView4Pipeline(
                **NO_TEXT,
                vae=image_vae(),
                scheduler=flow(
                    base_shift=0.25,
                    max_shift=0.75,
                    base_image_seq_len=256,
                    use_dynamic_shifting=True,
                    time_shift_type="linear",
                ),
                transformer=MODELS["cogview4"].make(),
            )
        ),
        cogview_call,
    )


def hunyuan_dit() -> SmallPipeline:
    """Long skip connections from the first half's blocks to the second's."""

    def call(size: int) -> dict[str, Any]:
        given: dict[str, Any] = {"guidance_scale": 5.0, "height": 64, "width": 64 * size}
        for sign in ("", "negative_"):
            for number in ("", "_2"):
                given[f"{sign}prompt_embeds{number}"] = noise(1, 4, 8)
                given[f"{sign}prompt_attention_mask{number}"] = torch.ones(1, 4)
        return given | {"use_resolution_binning": False}

    return SmallPipeline(
        lambda: quiet(
            diffusers.HunyuanDiTPipeline(
                **NO_TEXTS,
                vae=image_vae(scale=8),
                scheduler=diffusers.DDPMScheduler(),
                transformer=MODELS["hunyuan_dit"].make(),
                safety_checker=None,
                feature_extractor=None,
                requires_safety_checker=False,
            )
        ),
        call,
        calls=(1, 1),
    )


PIPELINES = (
    sd3,
    sd3_heun,
    sd3_skip_layer,
    sd3_image_to_image,
    sd3_controlnet,
    qwen_image,
    qwen_image_controlnet,
    z_image,
    lumina,
    lumina2,
    pixart_alpha,
    pixart_sigma,
    dit,
    sana,
    cogview3plus,
    cogview4,
    hunyuan_dit,
)
