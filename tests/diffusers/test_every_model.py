"""Every transformer class of diffusers: nothing changes where all is computed, nor where true residuals are put in."""

import pytest
import torch
from zoo.checks import look_at_model
from zoo.models import MODELS

EXACT = 1e-6
"""A right residual in the right place differs by rounding alone."""


@pytest.fixture(autouse=True)
def flex_attention_uncompiled():
    """Some classes compile their block masks, which takes half a minute and changes no number."""
    with torch.compiler.set_stance("force_eager"):
        yield


@pytest.mark.parametrize("name", MODELS)
def test_a_strategy_is_at_work_on_the_whole_body_and_on_nothing_else(name):
    seen = look_at_model(MODELS[name])
    assert seen.watched
    assert seen.oracle < EXACT
    assert seen.wrong > 10 * EXACT
    assert seen.patterns["uniform"] == "X...X"
    assert "." in seen.patterns["magcache"]
    assert seen.as_planned
    assert seen.clean
    assert seen.detached


def test_the_zoo_holds_the_classes_that_denoise():
    assert len({entry.kind for entry in MODELS.values()}) >= 60
