"""What the interface asks of a predictor, checked by itself and on runs of a small transformer."""

from __future__ import annotations

import copy
import math
from typing import Any

import attrs
import torch

from cachekit.attaching.attach import attach
from cachekit.interface.predictor import LinearPredictor, Predictor
from cachekit.interface.residuals import Residual, clone, held_bytes, layout, streams
from cachekit.interface.step import Step
from cachekit.interface.strategy import Run, Strategy
from cachekit.registry.parameters import build
from cachekit.testing.model import SmallAdapter, SmallTransformer, ValueReads, denoise
from cachekit.testing.strategies import LARGER, check_class

EXAMPLES: tuple[Residual, ...] = (
    torch.zeros(1, 6, 4),
    torch.zeros(1, 6, 4, dtype=torch.bfloat16),
    (torch.zeros(1, 6, 4), torch.zeros(1, 2, 4)),
)
PATTERN = "XXX..X.XX...X....X..XX.X..X.XX...X....X"
STEPS = len(PATTERN)
MOST_HELD = 8
"""Residuals that a predictor may hold which does not say how many (`LinearPredictor.history`)."""


@attrs.define
class Given(Strategy):
    """Computes the steps of one pattern, with a head so that a predictor may look at it."""

    head: int = 1  # type: ignore[misc]

    def plan(self, run: Run) -> str:
        return (PATTERN * run.steps)[: run.steps]


def check_predictor(predictor: type[Predictor] | Predictor, **params: Any) -> None:
    """Check a predictor's class (with `params`), or one made already.

    Checked are: the interface and its documentation; that a prediction has the residuals' shapes and types, for one
    stream and for several, and is finite; that the residuals it is given stay as they are; that no tensor's value is
    read; that it holds a bounded number of residuals; a linear one's weights; and that runs do not leak into each
    other, of other shapes either.
    """
    kind = predictor if isinstance(predictor, type) else type(predictor)
    check_class(kind, Predictor)
    made = build(kind, kind.__name__, params) if isinstance(predictor, type) else predictor
    with torch.no_grad():
        check_predictions(made)
        check_runs(made)


def check_predictions(predictor: Predictor) -> None:
    """Shapes, types, reads, memory and weights, on made-up residuals."""
    name = type(predictor).__name__
    for example in (
        torch.zeros(1, 6, 4),
        torch.zeros(1, 6, 4, dtype=torch.bfloat16),
        (torch.zeros(6, 4), torch.zeros(2)),
    ):
        fresh = copy.deepcopy(predictor)
        seen: list[tuple[Residual, Residual]] = []
        for index, mark in enumerate(PATTERN):
            step = Step(index, STEPS, 0, noise_like(example, index), None, entry=noise_like(example, 100 + index))
            if mark == "X":
                residual = noise_like(example, 200 + index)
                seen.append((residual, clone(residual)))
                fresh.update(step, residual)
                check_held(fresh, len(seen), example)
                continue
            with ValueReads() as reads:
                answer = fresh.predict(step)
            assert layout(answer) == layout(example), (
                f"{name} predicts {layout(answer)} for residuals {layout(example)}"
            )
            assert all(s.isfinite().all() for s in streams(answer)), (
                f"{name} predicts what is not finite at step {index}"
            )
            assert reads.count == 0, f"{name} reads a tensor's value to predict, which on a GPU waits"
        for given, before in seen:
            same = all(torch.equal(a, b) for a, b in zip(streams(given), streams(before), strict=True))
            assert same, f"{name} writes into the residuals that it is given; other code holds them too"
    if isinstance(predictor, LinearPredictor):
        check_weights(predictor)


def check_held(predictor: Predictor, computed: int, example: Residual) -> None:
    """No more residuals than it says, or than is reasonable."""
    most = min(predictor.history, computed) if isinstance(predictor, LinearPredictor) else MOST_HELD
    size = sum(stream.nbytes for stream in streams(example))
    held = held_bytes(predictor) / size
    assert held <= most + 0.01, f"{type(predictor).__name__} holds {held:.1f} residuals, where {most} are its most"


def check_weights(predictor: LinearPredictor) -> None:
    """One finite weight for each residual kept, whatever the positions."""
    name = type(predictor).__name__
    for computed in ([0], [0, 1], [0, 3, 4], [2, 3, 5, 9, 10]):
        kept = computed[-predictor.history :]
        weights = predictor.weights(kept, kept[-1] + 2)
        assert len(weights) == len(kept), f"{name} gives {len(weights)} weights for the {len(kept)} steps {kept}"
        assert all(math.isfinite(weight) for weight in weights), f"{name} gives weights that are not finite: {weights}"


def check_runs(predictor: Predictor) -> None:
    """A run is the same in a session of its own, after another, after one cut short and after one of other shapes."""
    name = type(predictor).__name__

    def attached(transformer: SmallTransformer) -> Any:
        return attach(transformer, Given(), steps=STEPS, predictor=predictor, adapter=SmallAdapter())

    transformer = SmallTransformer()
    with attached(transformer):
        alone = denoise(transformer, STEPS)
    before: dict[str, dict[str, Any]] = {
        "another": {},
        "one of other shapes": {"shape": LARGER},
        "one cut short": {"upto": STEPS // 2},
    }
    for what, options in before.items():
        transformer = SmallTransformer()
        with attached(transformer) as session:
            denoise(transformer, STEPS, seed=5, **options)
            session.reset()
            after = denoise(transformer, STEPS)
        assert torch.equal(after, alone), f"after {what} {name} gives other latents than in a session of its own"


def noise_like(example: Residual, seed: int) -> Residual:
    """Seeded noise of the same shapes and types."""
    generator = torch.Generator().manual_seed(seed)
    noise = tuple(torch.randn(s.shape, generator=generator).to(s.dtype) for s in streams(example))
    return noise if isinstance(example, tuple) else noise[0]
