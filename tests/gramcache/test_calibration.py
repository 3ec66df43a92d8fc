"""Measuring the Gram matrix: sketches, guidance, streams, merging."""

import numpy as np
import pytest
import torch
from cachekit_gramcache.calibrator import GramCalibrator
from cachekit_gramcache.sketch import WIDTH, CountSketch

import cachekit
from cachekit.calibration import ComputeAlways, Conditions, Observer
from cachekit.residuals import held_bytes
from cachekit.strategy import Step

TIMESTEPS = (1000.0, 750.0, 500.0, 250.0)


def conditions(*, calls_per_step=1, guidance_in_batch=False):
    return Conditions(4, TIMESTEPS, calls_per_step, 4.0, guidance_in_batch)


def count_sketch(tensors, seed):
    sketch = CountSketch(seed)
    for tensor in tensors:
        sketch.add(tensor)
    return sketch.values


def no_probe(name):
    raise AssertionError(f"nothing asks for {name}")


def watched(calibrator, runs, branch=0):
    """The calibrator after runs with these residuals, each a list of one a step."""
    for residuals in runs:
        for index, residual in enumerate(residuals):
            hidden = tuple(map(torch.ones_like, residual)) if isinstance(residual, tuple) else torch.ones_like(residual)
            calibrator.observe(Step(index, len(residuals), branch, hidden, 0.0, no_probe), residual)
    return calibrator


def random_run(seed, shape=(2, 50, 64), steps=4):
    generator = torch.Generator().manual_seed(seed)
    common = torch.randn(shape, generator=generator)
    return [common + torch.randn(shape, generator=generator) / 3 for _ in range(steps)]


def normalised(run):
    """The outputs as a final layer's normalisation leaves them; that the input is added, all ones, makes none."""
    return [torch.nn.functional.layer_norm(residual + 1, residual.shape[-1:]) for residual in run]


def exact(outputs):
    rows = torch.stack([output.flatten() for output in outputs]).double().numpy()
    return rows @ rows.T


def test_sketches_keep_inner_products():
    run = random_run(0)
    rows = torch.stack([count_sketch([residual], seed=0) for residual in run]).double().numpy()
    assert rows.shape == (4, WIDTH)
    np.testing.assert_allclose(rows @ rows.T, exact(run), rtol=0.06)


def test_a_sketch_is_linear_and_the_same_each_time():
    a, b = random_run(1, steps=2)
    both = 2 * count_sketch([a], seed=0) - count_sketch([b], seed=0)
    torch.testing.assert_close(count_sketch([2 * a - b], seed=0), both, atol=1e-4, rtol=1e-4)
    assert torch.equal(count_sketch([a], seed=0), count_sketch([a], seed=0))
    assert not torch.equal(count_sketch([a], seed=0), count_sketch([a], seed=1))


def test_a_vector_longer_than_a_block_is_hashed_anew_in_each():
    ones = torch.ones(1, 3 << 20)
    assert count_sketch([ones], seed=0).square().sum().item() == pytest.approx(ones.numel(), rel=0.1)


def test_the_gram_is_summed_over_runs():
    runs = [random_run(2), random_run(3)]
    values = watched(GramCalibrator(conditions()), runs).values()
    np.testing.assert_allclose(values["gram"], exact(normalised(runs[0])) + exact(normalised(runs[1])), rtol=0.06)
    assert values["timesteps"] == list(TIMESTEPS)


def test_scales_are_the_outputs_own_before_they_are_normalised():
    runs = [random_run(2), random_run(3)]
    runs[1][2] = 3 * runs[1][2]
    values = watched(GramCalibrator(conditions()), runs).values()
    expected = [sum(run[step].var(-1, correction=0).mean() for run in runs).div(2).sqrt().item() for step in range(4)]
    assert values["scales"] == pytest.approx(expected, rel=1e-5)


def test_outputs_of_many_tokens_are_seen_whole():
    shape = (2, (1 << 12) + 5, 8)
    run = random_run(15, shape=shape, steps=4)
    values = watched(GramCalibrator(conditions()), [run]).values()
    np.testing.assert_allclose(values["gram"], exact(normalised(run)), rtol=0.08)
    assert values["gram"][0][0] == pytest.approx(2 * shape[1] * 8, rel=0.08)


def test_guidance_in_the_batch_is_combined_as_the_sampler_does():
    run = random_run(4)
    combined = [u + 4.0 * (c - u) for c, u in (output.chunk(2) for output in normalised(run))]
    values = watched(GramCalibrator(conditions(guidance_in_batch=True)), [run]).values()
    np.testing.assert_allclose(values["gram"], exact(combined), rtol=0.1)


def test_a_batch_without_its_other_half_is_refused():
    calibrator = GramCalibrator(conditions(guidance_in_batch=True))
    with pytest.raises(cachekit.CachekitError, match=r"both guidance branches in halves holds 1"):
        watched(calibrator, [random_run(4, shape=(1, 50, 64))])


def test_all_streams_count():
    first, second = random_run(5), random_run(6, shape=(2, 20, 64))
    pairs = list(zip(first, second, strict=True))
    values = watched(GramCalibrator(conditions()), [pairs]).values()
    np.testing.assert_allclose(values["gram"], exact(normalised(first)) + exact(normalised(second)), rtol=0.06)


def test_branches_of_separate_calls_add_up():
    captions, none = random_run(7), random_run(8)
    calibrator = GramCalibrator(conditions(calls_per_step=2))
    watched(watched(calibrator, [captions], branch=0), [none], branch=1)
    expected = exact(normalised(captions)) + exact(normalised(none))
    np.testing.assert_allclose(calibrator.values()["gram"], expected, rtol=0.06)
    assert calibrator.evidence()["runs"] == 1


def test_shards_add_up_to_the_whole():
    runs = [random_run(seed) for seed in (9, 10)]
    whole = watched(GramCalibrator(conditions()), runs)
    shard = watched(GramCalibrator(conditions()), runs[1:])
    merged = watched(GramCalibrator(conditions()), runs[:1])
    merged.absorb(shard.evidence())
    for measured in ("gram", "scales"):
        np.testing.assert_allclose(merged.values()[measured], whole.values()[measured], rtol=1e-12)
    assert merged.evidence()["runs"] == 2


def test_a_run_cut_short_counts_for_nothing():
    calibrator = watched(GramCalibrator(conditions()), [random_run(11)[:2], random_run(12)])
    np.testing.assert_allclose(calibrator.values()["gram"], exact(normalised(random_run(12))), rtol=0.06)
    assert calibrator.evidence()["runs"] == 1
    with pytest.raises(cachekit.CachekitError, match="none was seen"):
        watched(GramCalibrator(conditions()), [random_run(11)[:2]]).values()


def test_it_holds_one_sketch_a_step():
    calibrator = watched(GramCalibrator(conditions()), [random_run(13)[:3]])
    assert held_bytes(calibrator) == 3 * (WIDTH + 1) * 4


def test_it_measures_an_attached_model(transformer, run):
    calibrator = cachekit.calibration.calibrator_for("gramcache", conditions())
    observer = Observer(calibrator)
    with cachekit.attach(transformer, ComputeAlways(), steps=4, predictor=observer):
        run(4)
    measured = calibrator.values()
    with cachekit.attach(transformer, "gramcache", steps=4, computed=2, **measured) as session:
        run(4)
    assert session.trace.computed == 2
