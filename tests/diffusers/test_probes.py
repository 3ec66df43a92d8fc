"""The probes are what the model itself computes: the first block's attention is given the modulated input."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
import torch
from zoo.models import MODELS

import cachekit
from cachekit.diffusers.structure import body_of

FAMILIES = (
    "wan",
    "skyreels_v2",
    "hunyuan_video",
    "hunyuan_video_15",
    "hunyuan_image",
    "flux",
    "sd3",
    "chroma",
    "cogvideox",
    "ltx",
    "mochi",
    "qwen_image",
    "lumina2",
)


@attrs.define
class Looking(cachekit.Strategy):
    """Reads a probe at every step."""

    seen: list[torch.Tensor]
    probe: str = "modulated_input"

    @property
    def probes(self) -> tuple[str, ...]:  # type: ignore[override]
        return (self.probe,)

    def should_compute(self, step: cachekit.Step) -> bool:
        self.seen.append(step.probe(self.probe).clone())
        return True

    def __deepcopy__(self, memo: dict[int, object]) -> Looking:
        return self


@pytest.mark.parametrize("name", FAMILIES)
def test_the_modulated_input_is_what_the_first_block_s_attention_is_given(name):
    entry = MODELS[name]
    model, seen, attended = entry.make(), [], []
    block = body_of(model).blocks[0]
    attention = getattr(block, "attn1", None) or block.attn

    def note(module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        attended.append((args[0] if args else kwargs["hidden_states"]).clone())

    attention.register_forward_pre_hook(note, with_kwargs=True)
    with cachekit.attach(model, Looking(seen), steps=2):
        for level in (0.9, 0.4):
            model(**entry.arguments(level))
    assert len(seen) == 2
    for probe, given in zip(seen, attended, strict=True):
        assert probe.shape == given.shape
        assert torch.allclose(probe.to(given.dtype), given, atol=1e-5)
    assert not torch.allclose(seen[0], seen[1])


def test_wan_s_time_embedding_is_the_one_before_it_is_projected():
    entry = MODELS["wan"]
    model, seen, embedded = entry.make(), [], []
    model.condition_embedder.time_embedder.register_forward_hook(lambda m, given, made: embedded.append(made.clone()))
    with cachekit.attach(model, Looking(seen, "time_embedding"), steps=1):
        model(**entry.arguments(0.7))
    assert torch.equal(seen[0], embedded[0])


def test_a_strategy_whose_probe_is_missing_is_refused():
    with pytest.raises(cachekit.CachekitError, match=r"probe 'modulated_input'.*choose another strategy"):
        cachekit.attach(MODELS["krea2"].make(), "teacache", steps=10, coefficients=[1.0])
