"""NaN and infinities: a video made of them is no video, and its failure says where they began."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from cachekit.errors import CachekitError

if TYPE_CHECKING:
    import torch
    from torch import nn


class FoundError(Exception):
    """Ends the search for the step at which values that are not finite begin."""

    def __init__(self, step: int) -> None:
        super().__init__(step)
        self.step = step


def is_finite(values: torch.Tensor) -> bool:
    """Whether no value of the tensor is NaN or infinite; one read of the device."""
    import torch

    return bool(torch.isfinite(values).all())


def check_frames(video: torch.Tensor) -> None:
    """Refuse what an autoencoder decoded where it is not finite, since whole numbers of it would be black frames."""
    if not is_finite(video):
        raise CachekitError(
            "the decoded video holds values that are not finite, though its latents do not; "
            "try another --dtype, or look at the autoencoder's weights"
        )


def not_finite(transformer: nn.Module, denoise: Callable[[Callable[[int], None]], object], steps: int) -> CachekitError:
    """The error of a run whose latents are not finite; `denoise` is run again, up to where that begins."""
    begun = first_step(transformer, denoise)
    step = steps - 1 if begun is None else begun
    return CachekitError(
        f"the latents are not finite from step {step} of {steps} on (NaN or infinite); look at the weights, the "
        "guidance scale, the dtype and the predictor"
    )


def first_step(transformer: nn.Module, denoise: Callable[[Callable[[int], None]], object]) -> int | None:
    """The step, from 0, of which the transformer's output, or what the sampler made of it, is not finite.

    None where every call of the transformer was given finite latents and returned finite values.
    """
    now = 0

    def told(done: int) -> None:
        nonlocal now
        now = done

    def watch(module: nn.Module, args: tuple[object, ...], kwargs: dict[str, object], output: object) -> None:
        given = next(tensors([args, kwargs]), None)
        if given is not None and not is_finite(given):
            raise FoundError(max(0, now - 1))
        if not all(map(is_finite, tensors(output))):
            raise FoundError(now)

    handle = transformer.register_forward_hook(watch, with_kwargs=True)
    try:
        denoise(told)
    except FoundError as found:
        return found.step
    finally:
        handle.remove()
    return None


def tensors(holder: object) -> Iterator[torch.Tensor]:
    """The floating tensors of what a transformer was given or returned, in their order: the latents come first."""
    import torch

    if isinstance(holder, torch.Tensor):
        if holder.is_floating_point():
            yield holder
    elif isinstance(holder, Mapping):
        for value in holder.values():
            yield from tensors(value)
    elif isinstance(holder, (list, tuple)):
        for value in holder:
            yield from tensors(value)
    elif hasattr(holder, "sample"):
        yield from tensors(holder.sample)
