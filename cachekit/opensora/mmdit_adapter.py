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
    from cachekit.interface.span import Span

VECTOR = (2, "vec")
"""Place and name of a double block's modulation vector."""


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

    def hidden(self, span: Span, position: int, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Residual:
        """Image and text stream; of a single block the joined one, which stays joined."""
        first: torch.Tensor = span.argument(position, 0, args, kwargs)
        return (first, span.argument(position, 1, args, kwargs)) if is_double(span, position) else first

    def output(self, span: Span, returned: Any, hidden: Residual) -> Residual:
        """What a double block returns is both streams; a joined one is split again where the span began with two."""
        if isinstance(returned, tuple) or not isinstance(hidden, tuple):
            output: Residual = returned
            return output
        text_length = hidden[1].shape[1]
        return returned[:, text_length:], returned[:, :text_length]

    def answer(self, span: Span, args: tuple[Any, ...], kwargs: Mapping[str, Any], output: Residual) -> object:
        """Both streams, joined where the last block is a single one."""
        import torch

        if is_double(span, span.last) or not isinstance(output, tuple):
            return output
        return torch.cat([output[1], output[0]], dim=1)

    def pass_through(self, span: Span, position: int, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> object:
        return self.hidden(span, position, args, kwargs)

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


def is_double(span: Span, position: int) -> bool:
    """Whether this block takes the text stream too."""
    return span.names[position][1:2] == ("txt",)


def argument(which: tuple[int, str], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """An argument by place where it is given so, else by name."""
    place, name = which
    return args[place] if len(args) > place else kwargs[name]
