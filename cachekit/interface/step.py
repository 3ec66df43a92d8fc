"""One step of a run, as strategies and predictors see it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import attrs

from cachekit.errors import CachekitError
from cachekit.interface.residuals import add, matching

if TYPE_CHECKING:
    import torch
    from torch.distributed import ProcessGroup

    from cachekit.interface.residuals import Residual


def no_probe(name: str) -> torch.Tensor:
    raise CachekitError(f"this step has no probe {name!r}")


def no_latents() -> None:
    return None


@attrs.define
class Step:
    """One step of one branch, as a strategy or predictor sees it."""

    index: int
    """From 0."""
    total: int
    """Steps of the run."""
    branch: int
    _hidden: Residual | None = None
    _timestep: torch.Tensor | float | None = None
    _probe: Callable[[str], torch.Tensor] = no_probe
    _entry: Residual | None = None
    _latents: Callable[[], torch.Tensor | None] = no_latents
    _group: ProcessGroup | None = None
    _inner: Residual | None = None

    @property
    def hidden(self) -> Residual:
        """The span's input: a tensor, `[B, T*S, C]` in Open-Sora, or a tuple of one a stream."""
        if self._hidden is None:
            raise CachekitError("a step's hidden states are known only once the span is entered")
        return self._hidden

    @property
    def entry(self) -> Residual:
        """The body's input: what the first block was given, which is `hidden` where the strategy has no head."""
        return self.hidden if self._entry is None else self._entry

    @property
    def inner(self) -> Residual:
        """What the block at the strategy's `inner` position added to its input, once a computed step has run."""
        if self._inner is None:
            raise CachekitError(
                "the residual of a block inside is known once a step was computed, where `inner` names it"
            )
        return self._inner

    @property
    def latents(self) -> torch.Tensor:
        """What the transformer was called with, as `[B, C, T, H, W]` in Open-Sora."""
        latents = self._latents()
        if latents is None:
            raise CachekitError("this transformer was called without latents that its adapter could name")
        return latents

    @property
    def timestep(self) -> float | None:
        """The model's noise-level input for this step (the batch's greatest); None where it takes none.

        Reading it reads a tensor's value: on a GPU, that waits for the GPU.
        """
        if self._timestep is None or isinstance(self._timestep, (int, float)):
            return self._timestep
        return float(self._timestep.detach().max())

    def probe(self, name: str) -> torch.Tensor:
        """A cheap tensor of this step that the adapter offers, such as `modulated_input`."""
        return self._probe(name)

    def output(self, residual: Residual) -> Residual:
        """The span's output: its input, in the residual's shape, and that residual."""
        hidden = self.hidden
        if not isinstance(hidden, tuple) and not isinstance(residual, tuple):
            hidden = matching(hidden, residual)
        return add(hidden, residual)

    def means(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """mean |x| of each tensor over all ranks of the session's group, unread: nothing waits for the GPU."""
        means = [(tensor.abs().mean(), tensor.numel()) for tensor in tensors]
        if self._group is None:
            return tuple(mean for mean, _ in means)
        return tuple(mean_over_ranks(mean, mean, elements, self._group)[0] for mean, elements in means)

    def relative_change(self, now: torch.Tensor, before: torch.Tensor) -> float:
        """mean |now - before| / mean |before| over all ranks of the session's group; reading it waits for the GPU.

        Both tensors are of one shape; 0 where both are all zeros, infinity where only `before` is, NaN where one is.
        """
        change, size = (now - before).abs().mean(), before.abs().mean()
        if self._group is not None:
            change, size = mean_over_ranks(change, size, now.numel(), self._group)
        value = float((change / size).item())
        if math.isnan(value) and float(change) == float(size) == 0.0:
            return 0.0
        return value


def mean_over_ranks(
    change: torch.Tensor, size: torch.Tensor, elements: int, group: ProcessGroup
) -> tuple[torch.Tensor, torch.Tensor]:
    """Two means as they are over the tokens of all ranks, each rank's weighing as many elements as it holds."""
    import torch
    import torch.distributed as dist

    sums = torch.stack([change.double() * elements, size.double() * elements, change.new_tensor(elements).double()])
    dist.all_reduce(sums, group=group)
    return sums[0] / sums[2], sums[1] / sums[2]
