"""Muon (Keller Jordan and others, 2024, https://kellerjordan.github.io/posts/muon): momentum made orthogonal.

As torch.optim.Muon, but in float32, since bfloat16 is emulated, and fifty times slower, on processors without it; and
over several processes each makes its share of the updates.
"""

from collections.abc import Iterable

import torch
from torch import distributed

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the quintic Newton-Schulz iteration, from the source."""


def orthogonalize(matrix: torch.Tensor, iterations: int = 5) -> torch.Tensor:
    """The matrix `[M, N]` with its singular values brought near 1."""
    a, b, c = COEFFICIENTS
    x = matrix.T if matrix.shape[0] > matrix.shape[1] else matrix
    x = x / x.norm().clamp(min=1e-7)
    for _ in range(iterations):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.T if matrix.shape[0] > matrix.shape[1] else x


class Muon(torch.optim.Optimizer):
    """For matrices only. A step's length is `lr * sqrt(max(1, rows / columns))`, as in the source."""

    def __init__(
        self, params: Iterable[torch.nn.Parameter], lr: float, *, momentum: float = 0.95, weight_decay: float = 0.01
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        rank, ranks = (distributed.get_rank(), distributed.get_world_size()) if distributed.is_initialized() else (0, 1)
        for group in self.param_groups:
            parameters = group["params"]
            updates = torch.zeros(sum(parameter.numel() for parameter in parameters))
            views = updates.split([parameter.numel() for parameter in parameters])
            for number, (parameter, update) in enumerate(zip(parameters, views, strict=True)):
                state = self.state[parameter]
                average = state.setdefault("momentum", torch.zeros_like(parameter))
                average.lerp_(parameter.grad, 1 - group["momentum"])
                if number % ranks == rank:
                    ahead = parameter.grad.lerp(average, group["momentum"])
                    update.copy_(orthogonalize(ahead).flatten())
            if ranks > 1:
                distributed.all_reduce(updates)
            for parameter, update in zip(parameters, views, strict=True):
                rows, columns = parameter.shape
                parameter.mul_(1 - group["lr"] * group["weight_decay"])
                parameter.add_(update.view_as(parameter), alpha=-group["lr"] * max(1.0, rows / columns) ** 0.5)
