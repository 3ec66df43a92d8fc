"""What the structure of a diffusers transformer does not say by itself: a line a family, each with its reason.

A class that is not here is read off its own code (`structure`). Found by running every class of diffusers 0.42.1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import attrs

IMAGE, TEXT = "hidden_states", "encoder_hidden_states"


@attrs.frozen
class Family:
    """The line of one transformer class."""

    why: str
    lists: tuple[str, ...] = ()
    """The body's block lists in running order, where their names don't say; `a|b` runs a block of each in turn."""
    returns: Mapping[str, tuple[str, ...]] = attrs.field(factory=dict)
    """For a list, the arguments that its blocks return, changed, in their order."""
    image_first: bool = False
    """Where image tokens join others they come first; else they come last."""
    turned: bool = False
    """Blocks in turn hold frames as batch and places as batch."""
    copies: bool = False
    """The model writes into what its blocks return, so the span's input is copied."""
    sizes: tuple[str, ...] = ()
    """Sizes of the config that tell its models apart beside width, depth and channels."""
    hints: str = ""
    """A name in the config for the blocks after which hints are added, which a skipped step leaves out."""
    tail: str = "any"
    """Blocks that may run after the span: `any`, `none`, or `mirrored` (no more than run before it)."""


FAMILIES: Mapping[str, Family] = {
    "WanVACETransformer3DModel": Family(
        "the VACE blocks make the hints that are added after the body's, so a skipped step leaves them out too",
        lists=("vace_blocks", "blocks"),
        returns={"vace_blocks": ("control_hidden_states", "control_hidden_states")},
        hints="vace_layers",
    ),
    "Cosmos3OmniTransformer": Family(
        "the block's code returns sums, and the registry names its two streams: the second is the image's",
        lists=("layers",),
        returns={"layers": ("und_seq", "gen_seq")},
    ),
    "HiDreamImageTransformer2DModel": Family(
        "each block hands its arguments to another inside, and image tokens come first",
        returns={"double_stream_blocks": (IMAGE, TEXT), "single_stream_blocks": (IMAGE,)},
        image_first=True,
    ),
    "LatteTransformer3DModel": Family(
        "spatial and temporal blocks in turn, [B*F, S, C] and [B*S, F, C]",
        lists=("transformer_blocks|temporal_transformer_blocks",),
        turned=True,
    ),
    "Flux3Transformer2DModel": Family(
        "blocks of the image alone, then blocks of all, in which reference tokens follow the image's",
        lists=("mode_blocks.image", "single_transformer_blocks"),
        image_first=True,
        tail="none",
    ),
    "MotifVideoTransformer3DModel": Family(
        "its last blocks decode: they read the others' image beside their own", tail="none"
    ),
    "HunyuanDiT2DModel": Family(
        "long skip connections: a late block reads the output of an early one", tail="mirrored"
    ),
    "BriaTransformer2DModel": Family("a ControlNet's residual is written into the joined stream", copies=True),
    "ChromaTransformer2DModel": Family("a ControlNet's residual is written into the joined stream", copies=True),
    "CogVideoXTransformer3DModel": Family(
        "CogVideoX and 1.5 differ in the temporal patch alone", sizes=("patch_size_t",)
    ),
}
"""By the class's name."""

TEXT_STREAMS = (TEXT, "und_seq", "control_hidden_states")
"""Streams that a body changes for its own blocks alone: nothing after it reads them."""

BODY_LISTS = (
    "blocks",
    "transformer_blocks",
    "joint_transformer_blocks",
    "double_stream_blocks",
    "double_blocks",
    "single_transformer_blocks",
    "single_stream_blocks",
    "layers",
    "visual_transformer_blocks",
)
"""What diffusers calls the lists of a body; they run in the order in which the model defines them."""

WRITING_MODES: Mapping[str, Literal["computed", "bare"]] = {
    "write": "bare",
    "extract": "computed",
    "capture_pre_rope": "bare",
    "inject_and_capture_post_rope": "computed",
}
"""Modes of a key-value cache in which a call writes what later calls read, so that it is never skipped: before the loop
(`bare`, no step of it) or as one of its steps (`computed`)."""


def family_of(transformer: object) -> Family:
    """The line of a transformer's class, or of the class that it was made from (FSDP2 makes a subclass)."""
    for kind in type(getattr(transformer, "_orig_mod", transformer)).__mro__:
        if kind.__name__ in FAMILIES:
            return FAMILIES[kind.__name__]
    return Family("")
