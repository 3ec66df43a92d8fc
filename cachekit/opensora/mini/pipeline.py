"""The embedded model at work: prompts to frames."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import torch
from safetensors.torch import load_file
from torch import nn

from cachekit.errors import CachekitError
from cachekit.files.structuring import structure
from cachekit.generation.finite import check_frames
from cachekit.interface.model import Pipeline
from cachekit.opensora.mini import scenes
from cachekit.opensora.mini.autoencoder import Autoencoder, AutoencoderConfig
from cachekit.opensora.mini.config import read_config, transformer_sizes
from cachekit.opensora.mini.text import TextConfig, TextEncoder, tokenize, unknown_words
from cachekit.opensora.sampler import RFlowSampler
from cachekit.opensora.solvers import even_timesteps, is_euler
from cachekit.opensora.stdit3 import STDiT3, STDiT3Config
from cachekit.opensora.weights import check_keys

LATENT_FRAMES, LATENT_SIDE = 5, 8


@attrs.frozen
class MiniConfig:
    """Sizes of the embedded model's three parts, kept in the metadata of its weights file."""

    autoencoder: AutoencoderConfig
    text: TextConfig
    transformer: STDiT3Config


@attrs.define(eq=False)
class MiniPipeline(Pipeline):
    """Text encoder, transformer and autoencoder of the embedded model."""

    text: TextEncoder
    transformer: STDiT3
    autoencoder: Autoencoder
    spacing: float | None = None
    solver: str | None = None
    calls_per_step: int = 1
    guidance_in_batch: bool = True
    fps: float = scenes.FPS

    @property
    def euler(self) -> bool:  # type: ignore[override]
        return is_euler(self.solver)

    @property
    def device(self) -> torch.device:
        return self.text.positions.device

    def check_prompt(self, prompt: str) -> list[str]:
        tokenize(prompt, self.text.config.max_length)
        unknown = ", ".join(map(repr, unknown_words(prompt)))
        return [f"opensora-mini has never seen {unknown} and leaves it out of {prompt!r}"] if unknown else []

    def timesteps(self, steps: int) -> tuple[float, ...]:
        return even_timesteps(steps, self.spacing)

    def resampled(self, *, spacing: float | None = None, solver: str | None = None) -> MiniPipeline:
        return attrs.evolve(self, spacing=spacing, solver=solver)

    @torch.no_grad()
    def encode_text(self, prompt: str) -> tuple[torch.Tensor, torch.Tensor]:
        """Caption embeddings `[1, 1, L, C]` and their mask `[1, L]`."""
        captions, mask = self.text(self.text.tokens([prompt]).to(self.device))
        return captions, mask

    @torch.no_grad()
    def denoise(
        self,
        text: Any,
        *,
        seed: int,
        steps: int,
        guidance_scale: float,
        on_step: Callable[[int], None] | None = None,
    ) -> torch.Tensor:
        """Normalised latents `[1, C, 5, 8, 8]`."""
        captions, mask = text
        channels = self.transformer.config.in_channels
        generator = torch.Generator().manual_seed(seed)
        noise = torch.randn(1, channels, LATENT_FRAMES, LATENT_SIDE, LATENT_SIDE, generator=generator)
        side = torch.full((1,), float(scenes.HEIGHT), device=self.device)
        sampler = RFlowSampler(
            steps=steps,
            guidance_scale=guidance_scale,
            use_timestep_transform=False,
            spacing=self.spacing,
            solver=self.solver,
        )
        return sampler.sample(
            self.transformer,
            noise.to(self.device),
            y=captions,
            y_null=self.transformer.y_embedder.y_embedding[None, None].to(captions.dtype),
            mask=mask,
            fps=torch.full_like(side, scenes.FPS),
            height=side,
            width=side,
            num_frames=torch.full((1,), scenes.FRAMES, device=self.device),
            on_step=on_step,
        )

    @torch.no_grad()
    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        video = self.autoencoder.decode(latents.to(self.autoencoder.latent_mean.dtype))[0]
        check_frames(video)
        return ((video.float() + 1) * 127.5).round().to(torch.uint8).permute(1, 2, 3, 0).cpu()


def load_pipeline(
    path: Path, *, device: str, dtype: str | None, spacing: float | None = None, solver: str | None = None
) -> MiniPipeline:
    """The pipeline with the weights of that file, in float32 unless `dtype` says otherwise."""
    config = structure_config(path)
    tensors = {key: tensor.float() for key, tensor in load_file(path).items()}
    makers: dict[str, Callable[[], nn.Module]] = {
        "text": partial(TextEncoder, config.text),
        "transformer": partial(STDiT3, config.transformer),
        "autoencoder": partial(Autoencoder, config.autoencoder),
    }
    modules: dict[str, nn.Module] = {}
    for name, make in makers.items():
        part = {key.removeprefix(f"{name}."): tensor for key, tensor in tensors.items() if key.startswith(f"{name}.")}
        check_shapes(name, make, part, path)
        module = modules[name] = make()
        load_part(name, module, part)
        module.eval().requires_grad_(False).to(device=device, dtype=getattr(torch, dtype or "float32"))
    return MiniPipeline(spacing=spacing, solver=solver, **modules)  # type: ignore[arg-type]


def structure_config(path: Path) -> MiniConfig:
    """The sizes in a weights file, checked."""
    transformer_sizes(path)
    try:
        return structure(read_config(path), MiniConfig)
    except ValueError as error:
        raise CachekitError(f"the sizes in the weights file {str(path)!r} are damaged: {error}") from error


def check_shapes(name: str, make: Callable[[], nn.Module], state: dict[str, torch.Tensor], path: Path) -> None:
    """Refuse sizes that are not those of the tensors, before memory is taken for them."""
    try:
        with torch.device("meta"):
            wanted = {key: tuple(tensor.shape) for key, tensor in make().state_dict().items()}
    except Exception as error:  # torch raises anything for sizes that no module can have
        raise CachekitError(f"the sizes in the weights file {str(path)!r} are damaged: {name}: {error}") from error
    check_keys(str(path), f"opensora-mini's {name}", wanted, {key: tuple(t.shape) for key, t in state.items()})


def load_part(name: str, module: nn.Module, state: dict[str, torch.Tensor]) -> None:
    """Load one part's tensors; a CachekitError says which are missing, unexpected or of the wrong shape."""
    try:
        module.load_state_dict(state, strict=True)
    except RuntimeError as error:
        raise CachekitError(f"the weights of opensora-mini's {name} do not fit: {error}") from error
