"""A count sketch (Charikar, Chen, Farach-Colton 2002): few numbers that keep the inner products of long vectors."""

from __future__ import annotations

from typing import ClassVar

import attrs
import torch

BLOCK = 1 << 20
"""Entries hashed at once, so that the hash of a large tensor is never held whole."""


@attrs.define(eq=False)
class CountSketch:
    """Takes a long vector part by part; two vectors that come in parts of the same sizes have comparable sketches.

    Every entry goes, with a random sign, to one of the sketch's numbers; sign and place depend on the seed, on the
    entry's position and on the device alone.
    """

    width: ClassVar[int] = 4096
    """Numbers in a sketch; an inner product of sketches errs by about sqrt(2 / width) = 2% of the norms' product."""

    seed: int
    _values: torch.Tensor | None = attrs.field(default=None, init=False)
    _blocks: int = attrs.field(default=0, init=False)

    @property
    def values(self) -> torch.Tensor:
        """The sketch `[width]`, float32, linear in the vector."""
        if self._values is None:
            raise ValueError("nothing was sketched")
        return self._values

    def add(self, part: torch.Tensor) -> None:
        """The vector's next entries, in the order of the flattened tensor."""
        if self._values is None:
            self._values = torch.zeros(self.width, device=part.device)
        for values in part.detach().flatten().split(BLOCK):
            generator = torch.Generator(values.device).manual_seed(self.seed + self._blocks)
            hashed = torch.randint(2 * self.width, values.shape, generator=generator, device=values.device)
            signs = (hashed & 1).mul(2).sub(1)
            self._values.index_add_(0, hashed >> 1, values.float() * signs)
            self._blocks += 1


def sketch(vector: torch.Tensor, seed: int = 0) -> torch.Tensor:
    """A vector's sketch on the CPU in float64; one that is no longer than a sketch, itself."""
    if vector.numel() > CountSketch.width:
        whole = CountSketch(seed)
        whole.add(vector)
        vector = whole.values
    return vector.detach().flatten().double().cpu()
