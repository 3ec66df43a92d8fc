"""A count sketch (Charikar, Chen, Farach-Colton 2002): few numbers that keep the inner products of long vectors."""

from __future__ import annotations

from collections.abc import Iterable

import torch

WIDTH = 4096
"""Numbers in a sketch; an inner product of sketches errs by about sqrt(2 / WIDTH) = 2% of the norms' product."""
BLOCK = 1 << 20
"""Entries hashed at once, so that the hash of a large residual is never held whole."""


def count_sketch(tensors: Iterable[torch.Tensor], *, seed: int) -> torch.Tensor:
    """The sketch `[WIDTH]`, float32, of all entries of `tensors` in order; linear in them.

    Every entry goes, with a random sign, to one of the sketch's numbers; sign and place depend on the seed, on the
    entry's position and on the device alone.
    """
    sketch: torch.Tensor | None = None
    block = 0
    for tensor in tensors:
        if sketch is None:
            sketch = torch.zeros(WIDTH, device=tensor.device)
        for values in tensor.detach().flatten().split(BLOCK):
            generator = torch.Generator(values.device).manual_seed(seed + block)
            hashed = torch.randint(2 * WIDTH, values.shape, generator=generator, device=values.device)
            signs = (hashed & 1).mul(2).sub(1)
            sketch.index_add_(0, (hashed >> 1).to(sketch.device), values.float() * signs)
            block += 1
    if sketch is None:
        raise ValueError("there is nothing to sketch")
    return sketch
