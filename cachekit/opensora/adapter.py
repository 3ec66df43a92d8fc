"""The adapter for Open-Sora 1.2's transformer, by structure: the public package's, VideoSys's and cachekit's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, cast

from cachekit.interface.adapter import Adapter, has_modules

if TYPE_CHECKING:
    import torch
    from torch import nn

    from cachekit.interface.residuals import Residual


class OpenSoraAdapter(Adapter):
    """Spatial and temporal blocks in turn; each takes hidden states `[B, T*S, C]`, captions and the timestep vector."""

    probes: ClassVar[tuple[str, ...]] = ("modulated_input",)

    @classmethod
    def fits(cls, transformer: nn.Module) -> bool:
        if not has_modules(transformer, "spatial_blocks", "temporal_blocks"):
            return False
        spatial, temporal = block_lists(transformer)
        return len(spatial) == len(temporal)

    def blocks(self, transformer: nn.Module) -> Sequence[nn.Module]:
        return [block for pair in zip(*block_lists(transformer), strict=True) for block in pair]

    def architecture(self, transformer: nn.Module) -> dict[str, object]:
        spatial, _ = block_lists(transformer)
        return opensora_architecture(hidden_size=spatial[0].scale_shift_table.shape[-1], depth=len(spatial))

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
        first = block_lists(transformer)[0][0]
        t: torch.Tensor = args[2] if len(args) > 2 else kwargs["t"]
        shift, scale = (first.scale_shift_table[None] + t.reshape(len(t), 6, -1))[:, :2].chunk(2, dim=1)
        modulated: torch.Tensor = first.norm1(hidden) * (1 + scale) + shift
        return modulated


def opensora_architecture(*, hidden_size: int, depth: int) -> dict[str, object]:
    """What tells one STDiT3 from another: the sizes that all three classes show alike."""
    return {"hidden_size": hidden_size, "depth": depth}


def block_lists(transformer: nn.Module) -> tuple[Sequence[Any], Sequence[Any]]:
    """The spatial and the temporal blocks."""
    return cast("Sequence[Any]", transformer.spatial_blocks), cast("Sequence[Any]", transformer.temporal_blocks)
