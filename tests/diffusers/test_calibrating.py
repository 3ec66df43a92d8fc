"""Calibrating on one's own pipeline from Python."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from zoo.checks import Recording, Watching
from zoo.pipelines import PIPELINES

import cachekit

WAN = PIPELINES["wan"]


def test_the_ratios_are_those_of_the_residuals_of_each_branch():
    pipe, record = WAN.make(), Recording()
    with cachekit.enable(pipe, Watching(), predictor=record):
        WAN.run(pipe)
    with cachekit.calibrating(pipe, "magcache") as measured:
        WAN.run(pipe)
    ratios = measured.profile().values["ratios"]
    for branch in (0, 1):
        norms = [record.true[step, branch].norm(dim=-1) for step in range(6)]
        expected = [float((now / before).mean()) for before, now in pairwise(norms)]
        assert ratios[branch] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("strategy", ["magcache", "teacache"])
@pytest.mark.parametrize("name", ["wan", "wan22", "flux", "cogvideox", "lumina2"])
def test_a_profile_serves_the_pipeline_that_it_was_measured_on(name, strategy, tmp_path):
    entry = PIPELINES[name]
    pipe = entry.make()
    bare = entry.run(pipe)
    with cachekit.calibrating(pipe, strategy) as measured:
        assert torch.equal(entry.run(pipe), bare)
        entry.run(pipe, seed=1)
    assert measured.runs == 2
    measured.profile().save(tmp_path / "p.json")
    with cachekit.enable(pipe, strategy, profile=tmp_path / "p.json", thresh=0.5) as enabled:
        entry.run(pipe)
        assert "." in enabled.trace.pattern


def test_nothing_measured_is_said():
    pipe = WAN.make()
    with cachekit.calibrating(pipe, "magcache") as measured:
        pass
    with pytest.raises(cachekit.CachekitError, match="nothing was measured"):
        measured.profile()


def test_runs_of_another_kind_are_refused():
    pipe = WAN.make()
    with cachekit.calibrating(pipe, "magcache"):
        WAN.run(pipe)
        with pytest.raises(cachekit.CachekitError, match="began with 6 steps of 2 calls, but now there are 4 steps"):
            WAN.run(pipe, steps=4)


def test_a_strategy_that_measures_nothing_is_refused():
    with pytest.raises(cachekit.CachekitError, match="nothing to calibrate"):
        cachekit.calibrating(WAN.make(), "uniform")
