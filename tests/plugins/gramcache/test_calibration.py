"""Measuring the Gram matrix: sketches, guidance, streams, merging."""

import numpy as np
import pytest
import torch
from cachekit_gramcache.calibrator import GramCalibrator

import cachekit
from cachekit import CountSketch
from cachekit.calibration.calibrate import Watching, calibrator_for
from cachekit.interface.conditions import Conditions
from cachekit.interface.residuals import held_bytes
from cachekit.interface.step import Step

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


def agree(gram, expected):
    """As far as sketches can: each entry within three standard errors of the norms' product."""
    np.testing.assert_allclose(gram, expected, rtol=0, atol=3 * (2 / CountSketch.width) ** 0.5 * np.max(expected))


def watched(calibrator, runs, branch=0):
    """The calibrator after runs with these residuals, each a list of one a step."""
    for residuals in runs:
        for index, residual in enumerate(residuals):
            calibrator.observe(Step(index, len(residuals), branch, entering(index, residual), 0.0, no_probe), residual)
    return calibrator


def random_run(seed, shape=(2, 50, 64), steps=4):
    generator = torch.Generator().manual_seed(seed)
    common = torch.randn(shape, generator=generator)
    return [common + torch.randn(shape, generator=generator) / 3 for _ in range(steps)]


def entering(index, residual):
    """The body's input at a step: as long as the residual, and another at each step."""
    if isinstance(residual, tuple):
        return tuple(entering(index, stream) for stream in residual)
    generator = torch.Generator().manual_seed(1000 + index)
    return torch.randn(residual.shape, generator=generator).to(residual.dtype)


def outputs(run):
    return [entering(index, residual) + residual for index, residual in enumerate(run)]


def normalised(run):
    """The outputs as a final layer's normalisation leaves them."""
    return [torch.nn.functional.layer_norm(output, output.shape[-1:]) for output in outputs(run)]


def scales(*runs):
    """The root of the mean variance within a token, of each step."""
    variances = [[output.var(-1, correction=0).mean() for output in outputs(run)] for run in runs]
    return torch.tensor(variances).mean(dim=0).sqrt().tolist()


def exact(outputs):
    rows = torch.stack([output.flatten() for output in outputs]).double().numpy()
    return rows @ rows.T


def test_sketches_keep_inner_products():
    run = random_run(0)
    rows = torch.stack([count_sketch([residual], seed=0) for residual in run]).double().numpy()
    assert rows.shape == (4, CountSketch.width)
    agree(rows @ rows.T, exact(run))


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
    agree(values["gram"], exact(normalised(runs[0])) + exact(normalised(runs[1])))
    assert values["timesteps"] == list(TIMESTEPS)


def test_scales_are_the_outputs_own_before_they_are_normalised():
    runs = [random_run(2), random_run(3)]
    runs[1][2] = 3 * runs[1][2]
    values = watched(GramCalibrator(conditions()), runs).values()
    assert values["scales"] == pytest.approx(scales(*runs), rel=1e-5)


def test_outputs_of_many_tokens_are_seen_whole():
    shape = (2, (1 << 12) + 5, 8)
    run = random_run(15, shape=shape, steps=4)
    for residual in run:
        residual[:, -5:] *= 40
    values = watched(GramCalibrator(conditions()), [run]).values()
    agree(values["gram"], exact(normalised(run)))
    assert values["scales"] == pytest.approx(scales(run), rel=1e-4)


def test_outputs_in_half_precision_are_normalised_in_single():
    run = [residual.bfloat16() for residual in random_run(16)]
    values = watched(GramCalibrator(conditions()), [run]).values()
    single = watched(GramCalibrator(conditions()), [[residual.float() for residual in run]]).values()
    assert values["scales"] == pytest.approx(single["scales"], rel=1e-3)
    np.testing.assert_allclose(values["gram"], single["gram"], rtol=1e-3)


def test_guidance_in_the_batch_is_combined_as_the_sampler_does():
    run = random_run(4)
    combined = [u + 4.0 * (c - u) for c, u in (output.chunk(2) for output in normalised(run))]
    values = watched(GramCalibrator(conditions(guidance_in_batch=True)), [run]).values()
    agree(values["gram"], exact(combined))


def test_a_batch_without_its_other_half_is_refused():
    calibrator = GramCalibrator(conditions(guidance_in_batch=True))
    with pytest.raises(cachekit.CachekitError, match=r"both guidance branches in halves holds 1"):
        watched(calibrator, [random_run(4, shape=(1, 50, 64))])


def test_all_streams_count():
    first, second = random_run(5), random_run(6, shape=(2, 20, 64))
    pairs = list(zip(first, second, strict=True))
    values = watched(GramCalibrator(conditions()), [pairs]).values()
    agree(values["gram"], exact(normalised(first)) + exact(normalised(second)))


def test_branches_of_separate_calls_add_up():
    captions, none = random_run(7), random_run(8)
    calibrator = GramCalibrator(conditions(calls_per_step=2))
    watched(watched(calibrator, [captions], branch=0), [none], branch=1)
    expected = exact(normalised(captions)) + exact(normalised(none))
    agree(calibrator.values()["gram"], expected)
    assert calibrator.values()["scales"] == pytest.approx(scales(captions, none), rel=1e-5)
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
    agree(calibrator.values()["gram"], exact(normalised(random_run(12))))
    assert calibrator.evidence()["runs"] == 1
    with pytest.raises(cachekit.CachekitError, match="none was seen"):
        watched(GramCalibrator(conditions()), [random_run(11)[:2]]).values()


def test_a_run_of_one_step_is_refused_before_it_is_made():
    with pytest.raises(cachekit.CachekitError, match="runs of at least 2 steps"):
        GramCalibrator(Conditions(1, (1000.0,), 1, 4.0, False))


def test_it_holds_one_sketch_a_step():
    calibrator = watched(GramCalibrator(conditions()), [random_run(13)[:3]])
    assert held_bytes(calibrator) == 3 * (CountSketch.width + 1) * 4


def test_it_measures_an_attached_model(transformer, run):
    calibrator = calibrator_for("gramcache", conditions())
    with cachekit.attach(transformer, Watching(calibrator), steps=4):
        run(4)
    measured = calibrator.values()
    with cachekit.attach(transformer, "gramcache", steps=4, computed=2, **measured) as session:
        run(4)
    assert session.trace.computed == 2
