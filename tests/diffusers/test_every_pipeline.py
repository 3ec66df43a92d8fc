"""Pipelines of diffusers, one or more a family, followed from call to call without being told anything."""

import pytest
import torch
from zoo.checks import look_at_pipeline
from zoo.pipelines import PIPELINES

EXACT = 1e-6


@pytest.fixture(autouse=True)
def flex_attention_uncompiled():
    with torch.compiler.set_stance("force_eager"):
        yield


LARGE = {"latte": 5e-6, "allegro": 5e-6, "cogvideox_dpm": 2e-6}
"""Pipelines whose sampler (DDIM, noise predicted) divides by about 0.006 at its first steps, and so makes a rounding of
the model's 160 times as large; their models alone are exact to 1e-7. CogVideoX's DPM sampler makes 8e-7 to 1.04e-6 of
its model's 5e-8, as the processor rounds."""


@pytest.mark.wide
@pytest.mark.parametrize("name", PIPELINES)
def test_a_strategy_follows_the_pipeline_whatever_it_is_asked_for(name):
    seen = look_at_pipeline(PIPELINES[name])
    assert seen.watched
    assert seen.oracle < LARGE.get(name, EXACT)
    assert seen.wrong > 10 * seen.oracle
    assert all("." in pattern for pattern in seen.patterns.values())
    assert seen.as_planned
    assert seen.clean
    assert seen.detached
