"""FLUX's pipelines and those of the classes built like it."""

from __future__ import annotations

from typing import Any

import diffusers
import torch

from zoo.models import MODELS
from zoo.models.flux import COMMON
from zoo.parts import build, noise
from zoo.pipes import SmallPipeline, quiet
from zoo.vaes import flux2_vae, image_vae

NO_TEXT = {"tokenizer": None, "text_encoder": None}
NO_TEXTS = NO_TEXT | {"tokenizer_2": None, "text_encoder_2": None}


def flow(**more: object) -> Any:
    return diffusers.FlowMatchEulerDiscreteScheduler(**more)


def parts(**more: object) -> dict[str, Any]:
    return {
        **NO_TEXTS,
        "vae": image_vae(1),
        "scheduler": flow(),
        "transformer": MODELS["flux"].make(),
        **more,
    }


def flux_call(size: int) -> dict[str, Any]:
    return {
        "prompt_embeds": noise(1, 12, 32),
        "pooled_prompt_embeds": noise(1, 32),
        "negative_prompt_embeds": noise(1, 12, 32),
        "negative_pooled_prompt_embeds": noise(1, 32),
        "true_cfg_scale": 3.0,
        "height": 16,
        "width": 16 * size,
    }


def flux() -> SmallPipeline:
    return SmallPipeline(lambda: quiet(diffusers.FluxPipeline(**parts())), flux_call, unguided={"true_cfg_scale": 1.0})


def flux_image_to_image() -> SmallPipeline:
    return SmallPipeline(
        lambda: quiet(diffusers.FluxImg2ImgPipeline(**parts())),
        lambda size: flux_call(size) | {"image": noise(1, 3, 16, 16 * size).clip(0, 1), "strength": 0.6},
        unguided={"true_cfg_scale": 1.0},
        evaluations=lambda steps: steps - int(steps - steps * 0.6),
    )


def flux_kontext() -> SmallPipeline:
    """No `cache_context`, and the reference image's tokens follow the image's."""
    return SmallPipeline(
        lambda: quiet(diffusers.FluxKontextPipeline(**parts())),
        lambda size: (
            flux_call(size)
            | {"image": noise(1, 3, 16, 16 * size).clip(0, 1), "_auto_resize": False, "max_area": 256 * size}
        ),
        unguided={"true_cfg_scale": 1.0},
    )


def flux_controlnet() -> SmallPipeline:
    def make() -> Any:
        controlnet = build(diffusers.FluxControlNetModel, COMMON | {"pooled_projection_dim": 32}, seed=2)
        return quiet(diffusers.FluxControlNetPipeline(**parts(controlnet=controlnet)))

    return SmallPipeline(
        make,
        lambda size: (
            flux_call(size)
            | {"control_image": noise(1, 3, 16, 16 * size).clip(0, 1), "controlnet_conditioning_scale": 0.5}
        ),
        unguided={"true_cfg_scale": 1.0},
    )


def flux_fill() -> SmallPipeline:
    def make() -> Any:
        config = COMMON | {"pooled_projection_dim": 32, "in_channels": 24, "out_channels": 4}
        transformer = build(diffusers.FluxTransformer2DModel, config)
        return quiet(diffusers.FluxFillPipeline(**parts(transformer=transformer)))

    return SmallPipeline(
        make,
        lambda size: {
            "prompt_embeds": noise(1, 12, 32),
            "pooled_prompt_embeds": noise(1, 32),
            "image": noise(1, 3, 16, 16 * size).clip(0, 1),
            "mask_image": torch.ones(1, 1, 16, 16 * size),
            "height": 16,
            "width": 16 * size,
        },
        unguided=None,
        calls=(1, 1),
    )


def flux2_of(kind: Any, **more: object) -> Any:
    model = MODELS["flux2"]
    return quiet(
        kind(
            **NO_TEXT,
            vae=flux2_vae(),
            scheduler=flow(),
            transformer=build(model.kind, model.config | {"guidance_embeds": kind is diffusers.Flux2Pipeline}),
            **more,
        )
    )


def flux2() -> SmallPipeline:
    return SmallPipeline(
        lambda: flux2_of(diffusers.Flux2Pipeline),
        lambda size: {"prompt_embeds": noise(1, 12, 32), "height": 16, "width": 16 * size},
        unguided=None,
        calls=(1, 1),
    )


def flux2_klein() -> SmallPipeline:
    return SmallPipeline(
        lambda: flux2_of(diffusers.Flux2KleinPipeline),
        lambda size: {
            "prompt_embeds": noise(1, 12, 32),
            "negative_prompt_embeds": noise(1, 12, 32),
            "guidance_scale": 4.0,
            "height": 16,
            "width": 16 * size,
        },
    )


def flux2_klein_kv() -> SmallPipeline:
    """The first call writes keys and values of the reference image, which the later ones read."""
    return SmallPipeline(
        lambda: flux2_of(diffusers.Flux2KleinKVPipeline),
        lambda size: {
            "prompt_embeds": noise(1, 12, 32),
            "image": picture(),
            "height": 16,
            "width": 16 * size,
        },
        unguided=None,
        calls=(1, 1),
    )


def picture() -> Any:
    from PIL import Image

    return Image.new("RGB", (64, 64), (90, 120, 30))


def chroma() -> SmallPipeline:
    return SmallPipeline(
        lambda: quiet(
            diffusers.ChromaPipeline(**NO_TEXT, vae=image_vae(1), scheduler=flow(), transformer=MODELS["chroma"].make())
        ),
        lambda size: {
            "prompt_embeds": noise(1, 12, 32),
            "prompt_attention_mask": torch.ones(1, 12),
            "negative_prompt_embeds": noise(1, 12, 32),
            "negative_prompt_attention_mask": torch.ones(1, 12),
            "guidance_scale": 5.0,
            "height": 16,
            "width": 16 * size,
        },
    )


def bria() -> SmallPipeline:
    return SmallPipeline(
        lambda: quiet(
            diffusers.BriaPipeline(**NO_TEXT, vae=image_vae(1, 4), scheduler=flow(), transformer=MODELS["bria"].make())
        ),
        lambda size: {
            "prompt_embeds": noise(1, 12, 32),
            "negative_prompt_embeds": noise(1, 12, 32),
            "guidance_scale": 5.0,
            "height": 16,
            "width": 16 * size,
        },
        calls=(1, 1),
    )


def hidream() -> SmallPipeline:
    def make() -> Any:
        none = {f"{kind}_{i}": None for kind in ("tokenizer", "text_encoder") for i in (2, 3, 4)}
        pipe = diffusers.HiDreamImagePipeline(
            **NO_TEXT, **none, vae=image_vae(4), scheduler=flow(), transformer=MODELS["hidream"].make()
        )
        pipe.default_sample_size = 16
        return quiet(pipe)

    def call(size: int) -> dict[str, Any]:
        given: dict[str, Any] = {"guidance_scale": 5.0, "height": 32, "width": 32 * size}
        for sign in ("", "negative_"):
            given[f"{sign}prompt_embeds_t5"] = noise(1, 8, 8)
            given[f"{sign}prompt_embeds_llama3"] = noise(2, 1, 8, 4)
            given[f"{sign}pooled_prompt_embeds"] = noise(1, 8)
        return given

    return SmallPipeline(make, call, calls=(1, 1))


def aura_flow() -> SmallPipeline:
    return SmallPipeline(
        lambda: quiet(
            diffusers.AuraFlowPipeline(
                **NO_TEXT, vae=image_vae(4), scheduler=flow(), transformer=MODELS["aura_flow"].make()
            )
        ),
        lambda size: {
            "prompt_embeds": noise(1, 12, 32),
            "prompt_attention_mask": torch.ones(1, 12),
            "negative_prompt_embeds": noise(1, 12, 32),
            "negative_prompt_attention_mask": torch.ones(1, 12),
            "guidance_scale": 5.0,
            "height": 16,
            "width": 16 * size,
        },
        calls=(1, 1),
    )


def ovis_image() -> SmallPipeline:
    return SmallPipeline(
        lambda: quiet(
            diffusers.OvisImagePipeline(
                **NO_TEXT, vae=image_vae(1), scheduler=flow(), transformer=MODELS["ovis_image"].make()
            )
        ),
        lambda size: {
            "prompt_embeds": noise(1, 12, 32),
            "negative_prompt_embeds": noise(1, 12, 32),
            "negative_prompt": None,
            "guidance_scale": 5.0,
            "height": 16,
            "width": 16 * size,
        },
    )


PIPELINES = (
    flux,
    flux_image_to_image,
    flux_kontext,
    flux_controlnet,
    flux_fill,
    flux2,
    flux2_klein,
    flux2_klein_kv,
    chroma,
    bria,
    hidream,
    aura_flow,
    ovis_image,
)
