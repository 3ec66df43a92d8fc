"""`opensora-mini`: the embedded model, by name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import attrs

from cachekit.interface.model import Model
from cachekit.opensora.adapter import opensora_architecture
from cachekit.opensora.mini.config import transformer_sizes
from cachekit.opensora.solvers import even_timesteps, is_euler, solver_field, spacing_field

if TYPE_CHECKING:
    from cachekit.opensora.mini.pipeline import MiniPipeline


@attrs.define
class OpenSoraMini(Model):
    """A small STDiT3 with its own text encoder and autoencoder, shipped in the package: shapes that move, 64x64."""

    transformer_class: ClassVar[str] = "STDiT3"
    steps: ClassVar[int] = 30
    guidance_scale: ClassVar[float] = 4.0
    sampler: ClassVar[str] = "rflow"
    example_prompts: ClassVar[tuple[str, ...]] = (
        "a red circle moves left over a night sky",
        "a yellow square moves up over the sea",
        "a purple triangle spins over a desert",
        "a blue circle moves right over a meadow and a white square moves down",
    )
    calibration_prompts: ClassVar[tuple[str, ...]] = (
        "a red square moves up over a desert and a yellow triangle moves down",
        "a purple square moves right over a meadow and a green triangle moves up",
        "a blue triangle spins over a desert and a purple triangle moves right",
        "a white circle moves up over the sea",
        "a yellow square moves up over a meadow",
        "a white square moves left over the sea",
        "a green square moves up over a meadow and a red triangle moves right",
        "a purple circle moves down over a night sky",
    )
    """The first eight of `draw_scenes(0, held_out=False)`: sentences it was trained on."""

    weights: str | None = attrs.field(
        default=None, metadata={"help": "safetensors file to load in place of the shipped weights"}
    )
    spacing: float | None = spacing_field()
    solver: str | None = solver_field()

    def architecture(self) -> dict[str, object]:
        return opensora_architecture(**attrs.asdict(transformer_sizes(self.weights_path())))

    def weights_path(self) -> Path:
        """The weights file: the shipped one unless another was given."""
        return Path(self.weights) if self.weights is not None else Path(__file__).with_name("weights.safetensors")

    @property
    def euler(self) -> bool:
        return is_euler(self.solver)

    def timesteps(self, steps: int) -> tuple[float, ...]:
        return even_timesteps(steps, self.spacing)

    def load(self, *, device: str, dtype: str | None) -> MiniPipeline:
        from cachekit.opensora.mini.pipeline import load_pipeline

        return load_pipeline(self.weights_path(), device=device, dtype=dtype, spacing=self.spacing, solver=self.solver)
