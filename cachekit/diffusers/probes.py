"""Cheap tensors that a transformer's body offers before it runs: a line a family.

`modulated_input` is the first block's input normed, scaled and shifted by its timestep as its attention will see it:
what TeaCache (arXiv 2411.19108) watches. `time_embedding` is the timestep's embedding alone, for the models whose
published coefficients are fitted to that (Wan 2.1, CogVideoX).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    import torch
    from torch import nn

    from cachekit.diffusers.structure import Form

Arguments = Callable[[str], Any]
"""An argument of the first block's call, by name."""


def wan_modulated(block: Any, given: Arguments) -> torch.Tensor:
    """`norm1(x) (1 + scale) + shift` of the block's own table and the timestep's six rows."""
    temb = given("temb")
    table = block.scale_shift_table
    rows = (table.unsqueeze(0) + temb.float()) if temb.ndim == 4 else (table + temb.float())
    shift, scale = (row.squeeze(2) for row in rows.chunk(6, dim=2)[:2]) if temb.ndim == 4 else rows.chunk(6, dim=1)[:2]
    modulated: torch.Tensor = block.norm1(given("hidden_states").float()) * (1 + scale) + shift
    return modulated


def normed_first(block: Any, given: Arguments) -> torch.Tensor:
    """What the block's own adaptive norm makes of its image stream: FLUX, HunyuanVideo, Mochi, ..."""
    normed = block.norm1(given("hidden_states"), given("temb"))
    modulated: torch.Tensor = normed[0] if isinstance(normed, tuple) else normed
    return modulated


def flux_modulated(block: Any, given: Arguments) -> torch.Tensor:
    """`AdaLayerNormZero` of the image stream."""
    modulated: torch.Tensor = block.norm1(given("hidden_states"), emb=given("temb"))[0]
    return modulated


def chroma_modulated(block: Any, given: Arguments) -> torch.Tensor:
    """The same of the first six of the rows that Chroma's approximator gives a block."""
    modulated: torch.Tensor = block.norm1(given("hidden_states"), emb=given("temb")[:, :6])[0]
    return modulated


def cogvideox_modulated(block: Any, given: Arguments) -> torch.Tensor:
    """`CogVideoXLayerNormZero` of the image stream (its first value)."""
    modulated: torch.Tensor = block.norm1(given("hidden_states"), given("encoder_hidden_states"), given("temb"))[0]
    return modulated


def ltx_modulated(block: Any, given: Arguments) -> torch.Tensor:
    """LTX's first two of the six rows of its table and the timestep's: shift, then scale."""
    hidden, temb = given("hidden_states"), given("temb")
    rows = len(block.scale_shift_table)
    values = block.scale_shift_table[None, None] + temb.reshape(len(hidden), temb.shape[1], rows, -1)
    shift, scale = values[:, :, 0], values[:, :, 1]
    modulated: torch.Tensor = block.norm1(hidden) * (1 + scale) + shift
    return modulated


def qwen_modulated(block: Any, given: Arguments) -> torch.Tensor:
    """The image stream normed and modulated by the first three of its six rows."""
    first, _ = block.img_mod(given("temb")).chunk(2, dim=-1)
    shift, scale, _ = first.chunk(3, dim=-1)
    modulated: torch.Tensor = block.img_norm1(given("hidden_states")) * (1 + scale[:, None]) + shift[:, None]
    return modulated


def lumina2_modulated(block: Any, given: Arguments) -> torch.Tensor:
    """`LuminaRMSNormZero` of the joined stream."""
    modulated: torch.Tensor = block.norm1(given("hidden_states"), given("temb"))[0]
    return modulated


def given_to_blocks(transformer: Any, given: Arguments, timestep: Any) -> torch.Tensor:
    """The time embedding as the blocks are given it."""
    embedding: torch.Tensor = given("temb")
    return embedding


def wan_time_embedding(transformer: Any, given: Arguments, timestep: Any) -> torch.Tensor:
    """Wan's `e`, which its blocks are given only projected to six rows."""
    embedder = transformer.condition_embedder
    frequencies = embedder.timesteps_proj(timestep.flatten())
    embedding: torch.Tensor = embedder.time_embedder(frequencies.to(given("hidden_states").dtype))
    return embedding


@attrs.frozen
class Probes:
    """What one class of blocks offers."""

    modulated_input: Callable[[Any, Arguments], torch.Tensor]
    """From the block and its arguments."""
    time_embedding: Callable[[Any, Arguments, Any], torch.Tensor] = given_to_blocks
    """From the transformer, the block's arguments and the timestep."""


PROBES: Mapping[str, Probes] = {
    "WanTransformerBlock": Probes(wan_modulated, wan_time_embedding),
    "SkyReelsV2TransformerBlock": Probes(wan_modulated, wan_time_embedding),
    "HunyuanVideoTransformerBlock": Probes(flux_modulated),
    "HunyuanVideo15TransformerBlock": Probes(flux_modulated),
    "HunyuanImageTransformerBlock": Probes(flux_modulated),
    "FluxTransformerBlock": Probes(flux_modulated),
    "JointTransformerBlock": Probes(flux_modulated),
    "ChromaTransformerBlock": Probes(chroma_modulated),
    "CogVideoXBlock": Probes(cogvideox_modulated),
    "ConsisIDBlock": Probes(cogvideox_modulated),
    "LTXVideoTransformerBlock": Probes(ltx_modulated),
    "MochiTransformerBlock": Probes(normed_first),
    "QwenImageTransformerBlock": Probes(qwen_modulated),
    "Lumina2TransformerBlock": Probes(lumina2_modulated),
}
"""By the class of the body's first block."""


def probes_of(transformer: nn.Module) -> tuple[Any, Probes | None]:
    """The body's first block, and what its class or a parent of it offers."""
    from cachekit.diffusers.structure import body_of

    block = body_of(transformer).blocks[0]
    block = getattr(block, "_orig_mod", block)
    return block, next((PROBES[kind.__name__] for kind in type(block).__mro__ if kind.__name__ in PROBES), None)


def offered(transformer: nn.Module) -> tuple[str, ...]:
    """Names of the probes that this transformer offers."""
    _, probes = probes_of(transformer)
    return tuple(attrs.fields_dict(Probes)) if probes is not None else ()


def read(
    name: str,
    transformer: nn.Module,
    form: Form,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    timestep: torch.Tensor | float | None,
) -> torch.Tensor | None:
    """The probe from the arguments of the first block's call; None where there is none of this name."""
    block, probes = probes_of(transformer)
    if probes is None:
        return None

    def given(argument: str) -> Any:
        return form.argument(argument, args, kwargs)

    if name == "modulated_input":
        return probes.modulated_input(block, given)
    return probes.time_embedding(transformer, given, timestep) if name == "time_embedding" else None
