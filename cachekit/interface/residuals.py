"""Arithmetic on residuals: a tensor, or a tuple of one a stream."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import attrs

from cachekit.errors import CachekitError

if TYPE_CHECKING:
    import torch

Residual: TypeAlias = "torch.Tensor | tuple[torch.Tensor, ...]"
Layout: TypeAlias = "tuple[tuple[torch.Size, torch.dtype, torch.device], ...]"
"""Shape, type and device of each stream."""


def streams(hidden: Residual) -> tuple[torch.Tensor, ...]:
    """The streams of a residual or of hidden states; of a lone tensor, that one."""
    return hidden if isinstance(hidden, tuple) else (hidden,)


def layout(hidden: Residual) -> Layout:
    """What must agree for a kept residual to be added."""
    if not isinstance(hidden, tuple):
        return ((hidden.shape, hidden.dtype, hidden.device),)
    return tuple((stream.shape, stream.dtype, stream.device) for stream in hidden)


def dtypes(hidden: Residual) -> tuple[torch.dtype, ...]:
    """The type of each stream."""
    return tuple(stream.dtype for stream in hidden) if isinstance(hidden, tuple) else (hidden.dtype,)


def add(hidden: Residual, residual: Residual) -> Residual:
    """`hidden + residual`, stream by stream."""
    if not isinstance(hidden, tuple) and not isinstance(residual, tuple):
        return hidden + residual
    total = tuple(new + change for new, change in zip(streams(hidden), streams(residual), strict=True))
    return total if isinstance(hidden, tuple) else total[0]


def in_rows(hidden: Residual) -> Residual:
    """Tokens `[B, N, C]` on a CPU as a tensor of their own with each token's channels side by side; others as they are.

    For graphs that compile. A patch embedding leaves channels apart, and so does what is subtracted from it; inductor
    would then work the sum out from its parts, turned about, in each of the passes that a normalisation takes over it,
    which takes longer than to write it down once. `as_strided` is what has it written down.
    """
    rows = tuple(
        stream if stream.ndim != 3 or stream.device.type != "cpu" or stream.is_contiguous() else written(stream)
        for stream in streams(hidden)
    )
    return rows if isinstance(hidden, tuple) else rows[0]


def written(stream: torch.Tensor) -> torch.Tensor:
    whole = stream.contiguous()
    return whole.as_strided(whole.shape, whole.stride())


def matching(latents: torch.Tensor, output: torch.Tensor) -> torch.Tensor:
    """The latents in the output's shape: without channels that only condition, twice where a variance is learnt too."""
    import torch

    if latents.shape == output.shape:
        return latents
    differing = [d for d, (a, b) in enumerate(zip(latents.shape, output.shape, strict=False)) if a != b]
    if latents.ndim == output.ndim and len(differing) == 1:
        (axis,) = differing
        have, want = latents.shape[axis], output.shape[axis]
        if have > want:
            return latents.narrow(axis, 0, want)
        if want % have == 0:
            return torch.cat([latents] * (want // have), dim=axis)
    raise CachekitError(
        f"the transformer takes latents of shape {tuple(latents.shape)} and returns {tuple(output.shape)}, so its "
        "whole call has no residual; choose a strategy that skips its blocks"
    )


def cast(hidden: Residual, dtypes: Sequence[torch.dtype]) -> Residual:
    """Each stream in its type; one that has it already is handed on as it is."""
    if not isinstance(hidden, tuple):
        (dtype,) = dtypes
        return hidden if hidden.dtype == dtype else hidden.to(dtype)
    return tuple(stream.to(dtype) for stream, dtype in zip(hidden, dtypes, strict=True))


def same_shapes(hidden: Residual, other: Residual) -> bool:
    """Whether both have as many streams, each of one shape and on one device."""
    if not isinstance(hidden, tuple) and not isinstance(other, tuple):
        return hidden.shape == other.shape and hidden.device == other.device
    ours, theirs = streams(hidden), streams(other)
    return len(ours) == len(theirs) and all(
        a.shape == b.shape and a.device == b.device for a, b in zip(ours, theirs, strict=True)
    )


def clone(hidden: Residual) -> Residual:
    """A copy that later writes do not reach."""
    copies = tuple(stream.clone() for stream in streams(hidden))
    return copies if isinstance(hidden, tuple) else copies[0]


def subtract(output: Residual, hidden: Residual) -> Residual:
    """The residual `output - hidden`, detached: a cache keeps values, never a graph."""
    if not isinstance(output, tuple) and not isinstance(hidden, tuple):
        residual = output - hidden
        return residual.detach() if residual.requires_grad else residual
    change = tuple((new - old).detach() for new, old in zip(streams(output), streams(hidden), strict=True))
    return change if isinstance(hidden, tuple) else change[0]


def combine(weights: Sequence[float], residuals: Sequence[Residual]) -> Residual:
    """`Σ weight · residual`; a lone residual of weight 1 is handed on as it is."""
    if len(residuals) == 1 and weights[0] == 1.0:
        return residuals[0]
    totals = []
    for tensors in zip(*map(streams, residuals), strict=True):
        total = tensors[0] * weights[0]
        for weight, tensor in zip(weights[1:], tensors[1:], strict=True):
            total = total.add_(tensor, alpha=weight)
        totals.append(total)
    return tuple(totals) if isinstance(residuals[0], tuple) else totals[0]


def held_bytes(holder: Any) -> int:
    """Bytes of all tensors reachable from an attrs object, a mapping or a sequence; a shared one counts once."""
    return sum({id(tensor): tensor.nbytes for tensor in _tensors(holder)}.values())


def _tensors(holder: Any) -> Iterable[torch.Tensor]:
    if hasattr(holder, "untyped_storage"):
        yield holder
    elif attrs.has(type(holder)):
        names = {name for kind in type(holder).__mro__ for name in getattr(kind, "__slots__", ())}
        for name in {*names, *getattr(holder, "__dict__", ())} - {"__weakref__"}:
            yield from _tensors(getattr(holder, name, None))
    elif isinstance(holder, dict):
        for value in holder.values():
            yield from _tensors(value)
    elif isinstance(holder, (list, tuple)):
        for value in holder:
            yield from _tensors(value)
