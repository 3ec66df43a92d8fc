"""The model `opensora`: Open-Sora 1.2 whole, from its published checkpoints; torch is imported when it loads."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import attrs

from cachekit.errors import CachekitError
from cachekit.generation.bounds import check_memory, frame_rate
from cachekit.interface.model import Model, Pipeline
from cachekit.opensora.adapter import opensora_architecture
from cachekit.opensora.sizes import frame_count, image_size
from cachekit.opensora.solvers import is_euler, solver_field, spacing_field

if TYPE_CHECKING:
    import torch

    from cachekit.opensora.pipeline import OpenSoraPipeline, VideoSize

PUBLISHED = "published"
SMALL = "random:small"
DTYPES = ("bfloat16", "float32")
SMALL_ARCHITECTURE = opensora_architecture(hidden_size=48, depth=2)
PUBLISHED_ARCHITECTURE = opensora_architecture(hidden_size=1152, depth=28)
FOLDERS = ("transformer", "vae", "spatial_vae", "text_encoder")
"""The folders of a local copy of the weights, one for each published repository."""


@attrs.define
class OpenSora(Model):
    """Open-Sora 1.2 as in the papers' experiments: 51 frames of 480p, 24 a second, bfloat16."""

    transformer_class: ClassVar[str] = "STDiT3"
    steps: ClassVar[int] = 30
    guidance_scale: ClassVar[float] = 7.0
    sampler: ClassVar[str] = "rflow"
    dtype: ClassVar[str] = "bfloat16"
    example_prompts: ClassVar[tuple[str, ...]] = (
        "a calm lake at sunrise, mist drifting between pine trees, a small boat crossing slowly",
        "waves roll onto a pebble beach in evening light, foam running back between the stones",
    )

    weights: str = PUBLISHED
    """`published` (the four repositories below), a folder or hub name that holds all four as `transformer`, `vae`,
    `spatial_vae` and `text_encoder`, or `random:small` (small, seeded, for tests)."""
    resolution: str = attrs.field(metadata={"help": "144p, 240p, 360p, 480p, 720p, 1080p, 2k or 4k; by default 480p"})
    aspect_ratio: str = "9:16"
    """Height to width."""
    num_frames: int | str = attrs.field(
        metadata={"help": "a count, or a length by name: 2s, 4s, 8s, 16s; by default 51 (2s)"}
    )
    fps: float = frame_rate(24.0)
    """Frames a second, which the transformer is told too."""
    aesthetic_score: float | None = 6.5
    """Appended to the prompt, as training captions had it; none for no score."""
    timestep_transform: bool = True
    """Spend more steps near noise the larger the video is."""
    offload: bool = False
    """Keep text encoder and VAE on the CPU except in their own stages."""
    spacing: float | None = spacing_field()
    solver: str | None = solver_field()
    transformer: str = "hpcai-tech/OpenSora-STDiT-v3"
    """Folder or hub name of the transformer."""
    vae: str = "hpcai-tech/OpenSora-VAE-v1.2"
    """Folder or hub name of the video VAE."""
    spatial_vae: str = "PixArt-alpha/pixart_sigma_sdxlvae_T5_diffusers"
    """Folder or hub name of the image VAE within it."""
    text_encoder: str = "DeepFloyd/t5-v1_1-xxl"
    """Folder or hub name of the T5 encoder."""

    @resolution.default
    def _resolution(self) -> str:
        return "144p" if self.weights == SMALL else "480p"

    @num_frames.default
    def _num_frames(self) -> int | str:
        return 20 if self.weights == SMALL else 51

    def __attrs_post_init__(self) -> None:
        image_size(self.resolution, self.aspect_ratio)
        frame_count(self.num_frames)

    def architecture(self) -> dict[str, object]:
        return dict(SMALL_ARCHITECTURE if self.weights == SMALL else PUBLISHED_ARCHITECTURE)

    @property
    def euler(self) -> bool:
        return is_euler(self.solver)

    def timesteps(self, steps: int) -> tuple[float, ...]:
        dtype = self._dtype(None)
        return self.size().timesteps(steps, dtype, transform=self.timestep_transform, spacing=self.spacing)

    def load(self, *, device: str, dtype: str | None) -> Pipeline:
        """Load it; `dtype` is bfloat16 unless named, and float32 with `random:small`."""
        import torch

        from cachekit.opensora.pipeline import OpenSoraPipeline
        from cachekit.opensora.text import TextEncoder

        chosen = self._dtype(dtype)
        check_memory(frame_count(self.num_frames), *image_size(self.resolution, self.aspect_ratio))
        if self.weights == SMALL:
            from cachekit.opensora import small

            text_model, tokenizer = small.small_text_model(chosen)
            transformer, vae = small.small_transformer(chosen), small.small_vae(chosen)
        else:
            from cachekit.opensora import parts

            names = self.part_names()
            transformer = parts.load_transformer(names["transformer"], chosen)
            vae = parts.load_vae(names["vae"], names["spatial_vae"], chosen)
            text_model, tokenizer = parts.load_text_model(names["text_encoder"], chosen)
        pipeline: OpenSoraPipeline = OpenSoraPipeline(
            transformer=transformer,
            text_encoder=TextEncoder(text_model, tokenizer, self.aesthetic_score),
            vae=vae,
            size=self.size(),
            device=torch.device(device),
            timestep_transform=self.timestep_transform,
            spacing=self.spacing,
            solver=self.solver,
            offload=self.offload,
        )
        return pipeline

    def size(self) -> VideoSize:
        """Of its videos, names resolved."""
        from cachekit.opensora.pipeline import VideoSize

        return VideoSize(frame_count(self.num_frames), *image_size(self.resolution, self.aspect_ratio), self.fps)

    def part_names(self) -> dict[str, str]:
        """Folder or hub name of each part; raises CachekitError where a folder of weights lacks one."""
        if self.weights == PUBLISHED:
            return {part: getattr(self, part) for part in FOLDERS}
        from cachekit.opensora.weights import PATTERNS, locate

        folder = locate(self.weights, patterns=[f"{part}/{pattern}" for part in FOLDERS for pattern in PATTERNS])
        lacking = [part for part in FOLDERS if not (folder / part).is_dir()]
        if lacking:
            raise CachekitError(
                f"the weights in {str(Path(folder))!r} have no folder {' and no folder '.join(lacking)}; fetch it with "
                f"`hf download {getattr(self, lacking[0])} --local-dir {Path(folder) / lacking[0]}`"
            )
        return {part: str(folder / part) for part in FOLDERS}

    def _dtype(self, name: str | None) -> torch.dtype:
        import torch

        chosen = name or ("float32" if self.weights == SMALL else "bfloat16")
        if chosen not in DTYPES:
            raise CachekitError(f"Open-Sora's dtype must be {', '.join(DTYPES)}, not {chosen!r}")
        dtype: torch.dtype = getattr(torch, chosen)
        return dtype
