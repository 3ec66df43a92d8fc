"""What the interface asks of an adapter, checked on the transformer that it is for."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import attrs
import torch
from torch import nn

from cachekit.attaching.attach import attach
from cachekit.interface.adapter import Adapter
from cachekit.interface.step import Step
from cachekit.interface.strategy import Run, Strategy

Call = Callable[[float], Any]
"""Runs the transformer at a timestep, its other inputs the same each time; returns what the transformer does."""


@attrs.define
class Alternate(Strategy):
    """Computes the even steps; its head and tail are given."""

    head: int = 0  # type: ignore[misc]
    tail: int = 0  # type: ignore[misc]
    scope: str = "body"  # type: ignore[misc]

    def plan(self, run: Run) -> str:
        return ("X." * run.steps)[: run.steps]


@attrs.define
class Asking(Strategy):
    """Reads every probe, the timestep and the latents of the first step."""

    wanted: tuple[str, ...] = ()
    seen: dict[str, Any] = attrs.field(factory=dict, init=False)

    def should_compute(self, step: Step) -> bool:
        self.seen |= {name: step.probe(name) for name in self.wanted}
        self.seen |= {"timestep": step.timestep, "latents": step.latents}
        return True

    def __deepcopy__(self, memo: dict[int, object]) -> Asking:
        return self


def check_adapter(adapter: type[Adapter] | Adapter, transformer: nn.Module, call: Call) -> None:
    """Check an adapter on a small transformer of its family; `call(timestep)` runs that as a pipeline does.

    Checked are: that it fits and that its blocks are the transformer's, each once; that a computed step is bit for bit
    the bare model's and detaching puts all back; that a skipped step runs none of its blocks and gives what was
    computed where nothing has changed, with a head and a tail too; that probes, timestep and latents are found; and
    that its sizes are JSON.
    """
    chosen = adapter() if isinstance(adapter, type) else adapter
    name = type(chosen).__name__
    assert type(chosen).fits(transformer), f"{name} does not fit the {type(transformer).__name__} that it is for"
    assert not type(chosen).fits(nn.Linear(1, 1)), f"{name} fits a linear layer too; look for what the family has"
    blocks = list(chosen.blocks(transformer))
    modules = {id(module) for module in transformer.modules()}
    assert len(blocks) >= 2, f"{name} finds {len(blocks)} blocks; check it on a transformer of at least 2"
    assert all(id(block) in modules for block in blocks), f"{name} names blocks that are none of the transformer's"
    assert len({id(block) for block in blocks}) == len(blocks), f"{name} names a block twice"
    sizes = chosen.architecture(transformer)
    assert json.loads(json.dumps(sizes)) == sizes, f"{name}'s architecture must be JSON, not {sizes!r}"
    with torch.no_grad():
        check_calls(chosen, transformer, call, blocks)
        check_questions(chosen, transformer, call)


def check_calls(adapter: Adapter, transformer: nn.Module, call: Call, blocks: list[nn.Module]) -> None:
    """Computed, skipped and detached, for a whole body, for one without its ends and for the whole forward."""
    name = type(adapter).__name__
    bare = adapter.forward_output(call(900.0))
    spans = [Alternate(), Alternate(head=1), Alternate(tail=1), Alternate(scope="forward")]
    for strategy in spans:
        span = f"head {strategy.head}, tail {strategy.tail}, scope {strategy.scope}"
        with attach(transformer, strategy, steps=2, adapter=adapter, watch=False):
            computed = adapter.forward_output(call(900.0))
            ran = calls_of(blocks)
            with ran:
                skipped = adapter.forward_output(call(900.0))
        assert torch.equal(computed, bare), f"with {name} ({span}) a computed step is not the bare model's"
        expected = 0 if strategy.scope == "forward" else strategy.head + strategy.tail
        assert ran.count == expected, f"with {name} ({span}) a skipped step runs {ran.count} blocks"
        close = torch.allclose(skipped, bare, rtol=1e-3, atol=1e-3 * float(bare.abs().max()))
        assert close, f"with {name} ({span}) a skipped step on the same input gives another output"
    after = adapter.forward_output(call(900.0))
    assert torch.equal(after, bare), f"once detached, the model that {name} served gives another output"


def check_questions(adapter: Adapter, transformer: nn.Module, call: Call) -> None:
    """What a strategy may ask of a step."""
    name = type(adapter).__name__
    asking = Asking(tuple(adapter.probes))
    with attach(transformer, asking, steps=2, adapter=adapter):
        call(900.0)
    for probe in adapter.probes:
        assert isinstance(asking.seen[probe], torch.Tensor), f"{name}'s probe {probe!r} is no tensor"
    assert asking.seen["timestep"] is not None, f"{name} finds no timestep; name it in `timestep_names`"
    assert isinstance(asking.seen["latents"], torch.Tensor), f"{name} finds no latents; name them in `latents_names`"


class calls_of:  # noqa: N801 - reads as the context that it is
    """Within it, counts the forwards of these blocks that really run."""

    def __init__(self, blocks: list[nn.Module]) -> None:
        self.blocks, self.count = blocks, 0
        self.handles: list[torch.utils.hooks.RemovableHandle] = []

    def __enter__(self) -> calls_of:
        self.handles = [block.register_forward_pre_hook(self.counted) for block in self.blocks]
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self.handles:
            handle.remove()

    def counted(self, *_: object) -> None:
        self.count += 1
