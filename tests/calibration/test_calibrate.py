"""`cachekit calibrate`: what a profile holds, that it repeats, and that shards add up."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator
from itertools import islice, pairwise
from pathlib import Path

import attrs
import numpy as np
import pytest
import torch
from tiny_model import CIRCLE, SQUARE, Cachekit

import cachekit
from cachekit.calibration.calibrate import calibrator_for, watch
from cachekit.generation.generate import Request
from cachekit.interface.calibrator import Calibrator
from cachekit.interface.conditions import Conditions
from cachekit.opensora.mini.model import OpenSoraMini
from cachekit.opensora.mini.scenes import draw_scenes
from cachekit.opensora.stdit3 import STDiT3
from cachekit.profiles.profile import load_profile

Calibrate = Callable[..., Path]


def bare_runs(weights: Path, prompts: tuple[str, ...]) -> Iterator[list[tuple[torch.Tensor, torch.Tensor]]]:
    """Of each run, each step's body input and output, seen by plain hooks on the first and last block."""
    model = OpenSoraMini(weights=str(weights))
    pipeline = model.load(device="cpu", dtype=None)
    assert isinstance(pipeline.transformer, STDiT3)
    seen: list[tuple[torch.Tensor, torch.Tensor]] = []
    inputs: list[torch.Tensor] = []
    pipeline.transformer.spatial_blocks[0].register_forward_pre_hook(lambda _, args: inputs.append(args[0].clone()))
    pipeline.transformer.temporal_blocks[-1].register_forward_hook(
        lambda _, args, output: seen.append((inputs[-1], output.clone()))
    )
    for prompt in prompts:
        seen.clear()
        pipeline.denoise(pipeline.encode_text(prompt), seed=0, steps=8, guidance_scale=model.guidance_scale)
        yield list(seen)


def test_magcache_ratios_are_the_mean_over_tokens_and_runs_of_residual_norm_ratios(
    calibrate: Calibrate, weights: Path
) -> None:
    profile = load_profile(calibrate("magcache"))
    expected = []
    for run in bare_runs(weights, (CIRCLE, SQUARE)):
        norms = [(after - before).norm(dim=-1) for before, after in run]
        expected.append([(b / a).mean().item() for a, b in pairwise(norms)])
    assert profile.values["ratios"] == pytest.approx(np.mean(expected, axis=0), abs=1e-5)
    assert len(profile.values["ratios"]) == 7


def test_teacache_fits_the_change_of_the_residual_to_that_of_the_modulated_input(
    calibrate: Calibrate, weights: Path
) -> None:
    profile = load_profile(calibrate("teacache"))
    outputs = []
    for run in bare_runs(weights, (CIRCLE, SQUARE)):
        residuals = [after - before for before, after in run]
        outputs += [((b - a).abs().mean() / a.abs().mean()).item() for a, b in pairwise(residuals)]
    inputs = profile.evidence["input_changes"]
    assert profile.evidence["output_changes"] == pytest.approx(outputs, rel=1e-4)
    assert profile.values["coefficients"] == pytest.approx(np.polyfit(inputs, outputs, 4), rel=1e-2)
    assert profile.values["input_range"] == [min(inputs), max(inputs)]
    errors = np.array(outputs) - np.polyval(profile.values["coefficients"], inputs)
    assert profile.made["r_squared"] == pytest.approx(1 - np.mean(errors**2) / np.var(outputs), abs=1e-3)


@pytest.mark.parametrize("strategy", ["magcache", "teacache"])
def test_the_same_command_measures_the_same_profile(calibrate: Calibrate, strategy: str) -> None:
    first, again = (load_profile(calibrate(strategy, name)) for name in ("first", "again"))
    for name, value in first.values.items():
        assert again.values[name] == pytest.approx(value, abs=1e-6)


def test_a_profile_says_how_it_was_made(calibrate: Calibrate) -> None:
    profile = load_profile(calibrate("magcache", "profile", "--seed", 5, "--guidance-scale", 2))
    assert profile.made["command"].startswith("cachekit calibrate magcache --weights")
    assert "--seed 5" in profile.made["command"]
    assert profile.made["runs"] == [{"prompt": CIRCLE, "seed": 5}, {"prompt": SQUARE, "seed": 5}]
    assert set(profile.made["versions"]) == {"python", "cachekit-dit", "numpy", "torch"}
    assert (profile.steps, profile.guidance_scale, profile.sampler) == (8, 2.0, "rflow")
    assert profile.conditions is not None
    assert len(profile.conditions.timesteps) == 8


@pytest.mark.parametrize("strategy", ["magcache", "teacache"])
def test_shards_merge_to_the_profile_of_all_their_runs(
    cachekit: Cachekit, calibrate: Calibrate, tmp_path: Path, strategy: str
) -> None:
    shards = [calibrate(strategy, name, prompts=(p,)) for name, p in (("one", CIRCLE), ("two", SQUARE))]
    whole = load_profile(calibrate(strategy, "whole"))
    status, out, _ = cachekit("calibrate", "--merge", *shards, "--out", tmp_path / "merged.json", "--json", "-")
    merged = load_profile(tmp_path / "merged.json")
    assert status == 0
    assert json.loads(out)["values"] == merged.values
    for name, value in whole.values.items():
        assert merged.values[name] == pytest.approx(value, rel=1e-6)
    assert merged.made["runs"] == whole.made["runs"]
    assert len(merged.made["shards"]) == 2


def test_profiles_of_two_models_are_not_merged(
    cachekit: Cachekit, calibrate: Calibrate, deeper_weights: Path, tmp_path: Path
) -> None:
    one, out = calibrate("magcache", "one", prompts=(CIRCLE,)), tmp_path / "two.json"
    cachekit(*("calibrate", "magcache", "--weights", deeper_weights, "--steps", 8, "--prompt", SQUARE, "--out", out))
    status, _, errors = cachekit("calibrate", "--merge", one, out, "--out", tmp_path / "merged.json")
    assert status == 2
    assert "the model is opensora-mini (hidden_size 32, depth 2) in one and" in errors
    assert not (tmp_path / "merged.json").exists()


def test_profiles_of_other_strategies_steps_or_guidance_are_not_merged(
    cachekit: Cachekit, calibrate: Calibrate, tmp_path: Path
) -> None:
    one = calibrate("magcache", "one", prompts=(CIRCLE,))
    others = {
        "the strategy is magcache in one and teacache": calibrate("teacache", "tea", prompts=(SQUARE,)),
        "the steps is 8 in one and 6": calibrate("magcache", "steps", "--steps", 6, prompts=(SQUARE,)),
        "the guidance scale is 4.0 in one and 2.0": calibrate(
            "magcache", "cfg", "--guidance-scale", 2, prompts=(SQUARE,)
        ),
    }
    for reason, other in others.items():
        status, _, errors = cachekit("calibrate", "--merge", one, other, "--out", tmp_path / "merged.json")
        assert (status, reason in errors) == (2, True), errors


def test_a_run_counts_once_and_published_numbers_do_not_merge(
    cachekit: Cachekit, calibrate: Calibrate, tmp_path: Path
) -> None:
    one, both = calibrate("magcache", "one", prompts=(CIRCLE,)), calibrate("magcache", "both")
    status, _, errors = cachekit("calibrate", "--merge", one, both, "--out", tmp_path / "merged.json")
    assert (status, "would count double" in errors) == (2, True)
    published = Path("plugins/cachekit_magcache/profiles/opensora-1.2.json").resolve()
    status, _, errors = cachekit("calibrate", "--merge", one, published, "--out", tmp_path / "merged.json")
    assert (status, "holds no evidence" in errors) == (2, True)


def test_what_can_not_be_calibrated_is_refused_before_anything_runs(
    cachekit: Cachekit, weights: Path, tmp_path: Path
) -> None:
    for words, reason in (
        (("none",), "nothing to calibrate"),
        (("magcahce",), "did you mean 'magcache'"),
        (("magcache", "teacache"), "takes one strategy, not 2"),
    ):
        status, _, errors = cachekit("calibrate", *words, "--weights", weights, "--out", tmp_path / "profile.json")
        assert (status, reason in errors) == (2, True), errors
    status, _, errors = cachekit("calibrate", "magcache", "--weights", weights, "--out", tmp_path / "no" / "p.json")
    assert (status, "there is no folder" in errors) == (2, True)


def test_a_poor_fit_is_said(cachekit: Cachekit, weights: Path, tmp_path: Path) -> None:
    conditions = Conditions(20, tuple(map(float, range(20))), 1, 4.0, True)
    calibrator = calibrator_for("teacache", conditions)
    rng = np.random.default_rng(0)
    calibrator.absorb({"input_changes": [*rng.random(40)], "output_changes": [*rng.random(40)], "runs": 2})
    assert "fits poorly" in calibrator.warnings()[0]


def test_teacache_warns_once_where_it_must_extrapolate(calibrate: Calibrate, weights: Path) -> None:
    values = load_profile(calibrate("teacache")).values
    low, high = values["input_range"]
    pipeline = OpenSoraMini(weights=str(weights)).load(device="cpu", dtype=None)
    text = pipeline.encode_text(CIRCLE)

    def run(input_range: list[float]) -> None:
        measured = {**values, "input_range": input_range}
        with cachekit.attach(pipeline.transformer, "teacache", steps=8, **measured):
            pipeline.denoise(text, seed=0, steps=8, guidance_scale=4.0)

    with pytest.warns(cachekit.CachekitWarning, match="asked to extrapolate"):
        run([high * 2, high * 3])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run([low, high])


@attrs.define
class Counting(Calibrator):
    """A stranger's calibrator: it keeps what it was told."""

    seen: list[tuple[int, int, float | None]] = attrs.field(factory=list)

    def observe(self, step: cachekit.Step, residual: object) -> None:
        assert isinstance(step.hidden, torch.Tensor)
        assert isinstance(residual, torch.Tensor)
        assert residual.shape == step.hidden.shape == step.probe("modulated_input").shape
        self.seen.append((step.index, step.branch, step.timestep))

    def evidence(self) -> dict[str, object]:
        return {"seen": len(self.seen)}

    def absorb(self, evidence: object) -> None: ...

    def values(self) -> dict[str, object]:
        return {}


def test_a_calibrator_sees_every_step_of_every_run(weights: Path) -> None:
    pipeline = OpenSoraMini(weights=str(weights)).load(device="cpu", dtype=None)
    conditions = Conditions(4, pipeline.timesteps(4), 1, 4.0, True)
    calibrator = Counting()
    watch(pipeline, calibrator, [Request(CIRCLE, 0), Request(CIRCLE, 1)], conditions)
    assert calibrator.seen == [(i, 0, t) for _ in range(2) for i, t in enumerate((1000.0, 750.0, 500.0, 250.0))]


def test_the_minis_calibration_prompts_are_sentences_it_was_trained_on() -> None:
    drawn = list(islice((scene.prompt for scene in draw_scenes(0, held_out=False)), 8))
    assert OpenSoraMini.calibration_prompts == tuple(drawn)
    assert not set(drawn) & set(OpenSoraMini.example_prompts)
