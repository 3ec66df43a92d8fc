"""The adapter for Open-Sora 1.2's transformer, by structure: the public package's, VideoSys's and cachekit's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from cachekit.adapter import Adapter, has_modules

if TYPE_CHECKING:
    import torch
    from torch import nn

    from cachekit.residuals import Residual


class OpenSoraAdapter(Adapter):
    """Spatial and temporal blocks in turn; each takes hidden states `[B, T*S, C]`, captions and the timestep vector."""

    probes: ClassVar[tuple[str, ...]] = ("modulated_input",)

    @classmethod
    def fits(cls, transformer: nn.Module) -> bool:
        return has_modules(transformer, "spatial_blocks", "temporal_blocks") and len(
            transformer.spatial_blocks  # type: ignore[arg-type]
        ) == len(transformer.temporal_blocks)  # type: ignore[arg-type]

    def blocks(self, transformer: nn.Module) -> Sequence[nn.Module]:
        pairs = zip(transformer.spatial_blocks, transformer.temporal_blocks, strict=True)  # type: ignore[arg-type]
        return [block for pair in pairs for block in pair]

    def architecture(self, transformer: nn.Module) -> dict[str, object]:
        first = transformer.spatial_blocks[0]  # type: ignore[index]
        return opensora_architecture(
            hidden_size=first.scale_shift_table.shape[-1],
            depth=len(transformer.spatial_blocks),  # type: ignore[arg-type]
        )

    def probe(
        self,
        name: str,
        transformer: nn.Module,
        hidden: Residual,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
    ) -> torch.Tensor:
        """`modulated_input`: the first block's normed input, shifted and scaled as its attention will see it."""
        if name != "modulated_input":
            return super().probe(name, transformer, hidden, args, kwargs)
        first = transformer.spatial_blocks[0]  # type: ignore[index]
        t: torch.Tensor = args[2] if len(args) > 2 else kwargs["t"]
        shift, scale = (first.scale_shift_table[None] + t.reshape(len(t), 6, -1))[:, :2].chunk(2, dim=1)
        modulated: torch.Tensor = first.norm1(hidden) * (1 + scale) + shift
        return modulated


def opensora_architecture(*, hidden_size: int, depth: int) -> dict[str, object]:
    """What tells one STDiT3 from another: the sizes that all three classes show alike."""
    return {"hidden_size": hidden_size, "depth": depth}
