"""Wan's pipelines and those of the classes built like it."""

from __future__ import annotations

from typing import Any

import diffusers
import torch
from PIL import Image

from zoo.models import MODELS
from zoo.parts import build, noise
from zoo.pipes import SmallPipeline, quiet
from zoo.vaes import wan_vae


def embeddings() -> dict[str, Any]:
    return {"prompt_embeds": noise(1, 12, 16), "negative_prompt_embeds": noise(1, 12, 16)}


def text_to_video(size: int) -> dict[str, Any]:
    return embeddings() | {"height": 32, "width": 32 * size, "num_frames": 5, "guidance_scale": 5.0}


def unipc(**more: object) -> Any:
    settings = {"prediction_type": "flow_prediction", "use_flow_sigmas": True, "flow_shift": 3.0}
    return diffusers.UniPCMultistepScheduler(**{**settings, **more})


def flow(**more: object) -> Any:
    return diffusers.FlowMatchEulerDiscreteScheduler(**{"shift": 7.0, **more})


def wan_of(kind: Any, scheduler: Any, **more: object) -> Any:
    parts = {
        "tokenizer": None,
        "text_encoder": None,
        "vae": wan_vae(),
        "scheduler": scheduler,
        "transformer": MODELS["wan"].make(),
    }
    return quiet(kind(**{**parts, **more}))


def wan() -> SmallPipeline:
    return SmallPipeline(lambda: wan_of(diffusers.WanPipeline, flow()), text_to_video)


def wan_unipc() -> SmallPipeline:
    return SmallPipeline(lambda: wan_of(diffusers.WanPipeline, unipc()), text_to_video)


def second_expert() -> Any:
    return build(MODELS["wan"].kind, MODELS["wan"].config, seed=1)


def wan22() -> SmallPipeline:
    """Two transformers, the first for the noisier steps."""
    return SmallPipeline(
        lambda: wan_of(diffusers.WanPipeline, unipc(), transformer_2=second_expert(), boundary_ratio=0.875),
        text_to_video,
        transformers=("transformer", "transformer_2"),
    )


def wan22_ti2v() -> SmallPipeline:
    """Wan 2.2's 5B: one transformer with a timestep for each token."""
    return SmallPipeline(lambda: wan_of(diffusers.WanPipeline, unipc(), expand_timesteps=True), text_to_video)


def wan_video_to_video() -> SmallPipeline:
    """A part of the steps alone, by the strength."""
    return SmallPipeline(
        lambda: wan_of(diffusers.WanVideoToVideoPipeline, flow()),
        lambda size: (
            embeddings()
            | {
                "video": [Image.new("RGB", (32 * size, 32), (8 * i, 90, 120)) for i in range(5)],
                "height": 32,
                "width": 32 * size,
                "guidance_scale": 5.0,
                "strength": 0.7,
            }
        ),
        evaluations=lambda steps: int(steps * 0.7),
    )


def wan_vace() -> SmallPipeline:
    def make() -> Any:
        model = MODELS["wan_vace"]
        transformer = build(model.kind, model.config | {"vace_in_channels": 72})
        return wan_of(diffusers.WanVACEPipeline, flow(), transformer=transformer)

    return SmallPipeline(
        make,
        lambda size: (
            embeddings()
            | {
                "video": [Image.new("RGB", (32 * size, 32), (8 * i, 90, 120)) for i in range(5)],
                "mask": [Image.new("L", (32 * size, 32), 0)] * 5,
                "height": 32,
                "width": 32 * size,
                "num_frames": 5,
                "guidance_scale": 5.0,
            }
        ),
    )


def skyreels_v2() -> SmallPipeline:
    return SmallPipeline(
        lambda: wan_of(
            diffusers.SkyReelsV2Pipeline,
            unipc(flow_shift=8.0),
            transformer=MODELS["skyreels_v2"].make(),
        ),
        text_to_video,
    )


def skyreels_v2_forcing() -> SmallPipeline:
    """Schedulers of its own, one a frame; the pipeline's is never stepped."""
    return SmallPipeline(
        lambda: wan_of(
            diffusers.SkyReelsV2DiffusionForcingPipeline,
            unipc(flow_shift=8.0),
            transformer=MODELS["skyreels_v2"].make(),
        ),
        lambda size: text_to_video(size) | {"prompt": None, "base_num_frames": 5},
    )


PIPELINES = (wan, wan_unipc, wan22, wan22_ti2v, wan_video_to_video, wan_vace, skyreels_v2, skyreels_v2_forcing)


def call_of_its_own() -> dict[str, Any]:
    """What the small Wan's transformer is called with by somebody who has no pipeline."""
    return {
        "hidden_states": torch.ones(1, 4, 2, 4, 4),
        "timestep": torch.ones(1),
        "encoder_hidden_states": torch.ones(1, 12, 16),
        "return_dict": False,
    }
