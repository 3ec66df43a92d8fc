"""The adapter for Open-Sora 2.0's transformer, by structure: FLUX's double-stream blocks, then single-stream ones.

A double block takes and returns an image and a text stream, `[B, N, C]` and `[B, L, C]`; the model then joins them,
text first, and a single block takes and returns the joined stream `[B, L+N, C]`. To a strategy the body has the two
streams throughout.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from cachekit.interface.adapter import Adapter, has_modules

if TYPE_CHECKING:
    import torch
    from torch import nn

    from cachekit.interface.residuals import Residual

IMAGE, TEXT, VECTOR = (0, "img"), (1, "txt"), (2, "vec")
"""Place and name of a double block's arguments."""
JOINED = (0, "x")


class MMDiTAdapter(Adapter):
    """Double blocks `(img, txt, vec, pe) -> img, txt`, then single blocks `(x, vec, pe) -> x` on text and image."""

    probes: ClassVar[tuple[str, ...]] = ("modulated_input",)

    @classmethod
    def fits(cls, transformer: nn.Module) -> bool:
        """Both kinds of blocks, and `pe_embedder`: a class that embeds positions itself has them text first."""
        return has_modules(transformer, "double_blocks", "single_blocks") and hasattr(transformer, "pe_embedder")

    def blocks(self, transformer: nn.Module) -> Sequence[nn.Module]:
        return [*transformer.double_blocks, *transformer.single_blocks]  # type: ignore[misc]

    def architecture(self, transformer: nn.Module) -> dict[str, object]:
        return {
            "hidden_size": transformer.img_in.out_features,  # type: ignore[union-attr]
            "depth": len(transformer.double_blocks),  # type: ignore[arg-type]
            "depth_single_blocks": len(transformer.single_blocks),  # type: ignore[arg-type]
        }

    def hidden(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Residual:
        """Image and text stream."""
        return argument(IMAGE, args, kwargs), argument(TEXT, args, kwargs)

    def body_output(self, returned: Any, hidden: Residual) -> Residual:
        """The joined stream, split into image and text again."""
        text_length = hidden[1].shape[1]
        return returned[:, text_length:], returned[:, :text_length]

    def hand_on(self, args: tuple[Any, ...], kwargs: Mapping[str, Any], hidden: Residual) -> object:
        return tuple(hidden)

    def pass_through(self, position: int, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> object:
        """A double block is known by its text stream, a sequence where a single block has the vector `[B, C]`."""
        second = args[1] if len(args) > 1 else kwargs.get(TEXT[1])
        if second is not None and second.ndim == 3:
            return argument(IMAGE, args, kwargs), second
        return argument(JOINED, args, kwargs)

    def probe(
        self,
        name: str,
        transformer: nn.Module,
        hidden: Residual,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
    ) -> torch.Tensor:
        """`modulated_input`: the first block's normed image stream, shifted and scaled as its attention will see it."""
        if name != "modulated_input":
            return super().probe(name, transformer, hidden, args, kwargs)
        first: Any = transformer.double_blocks[0]  # type: ignore[index]
        modulation, _ = first.img_mod(argument(VECTOR, args, kwargs))
        modulated: torch.Tensor = (1 + modulation.scale) * first.img_norm1(hidden[0]) + modulation.shift
        return modulated


def argument(which: tuple[int, str], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """An argument by place where it is given so, else by name."""
    place, name = which
    return args[place] if len(args) > place else kwargs[name]
