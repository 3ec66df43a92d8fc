"""Correcting afterwards: what skipped steps got wrong is given back at the next computed one, and not made worse."""

import itertools
import math

import attrs
import numpy as np
import pytest
import torch
from cachekit_gramcache import GramCache
from cachekit_gramcache.correcting import Correction, StretchCorrector
from cachekit_gramcache.outputs import Outputs
from cachekit_gramcache.planning import STALE, plan_all
from cachekit_predictors import Reuse

import cachekit

STEPS = 8
SIZES = np.full(STEPS, 1 / STEPS)


def straight(turn=1e-3):
    """Outputs along a line that turns so little that a stretch misses next to nothing: v_t = a + turn t b."""
    a, b = torch.randn(2, 64, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return [a + turn * step * b for step in range(STEPS)]


def correction(velocities, *, noise=1e9, strength=1.0):
    rows = torch.stack(velocities).numpy()
    return Correction(Outputs(rows @ rows.T, np.ones(STEPS)), SIZES, np.full(STEPS, noise), Reuse(), strength)


def handed_on(velocities, pattern, corrector):
    """What goes to the sampler where skipped steps repeat the last computed output."""
    given, last = [], None
    for index, mark in enumerate(pattern):
        if mark == "X":
            last = velocities[index]
            given.append(corrector.computed(index, last))
        else:
            corrector.skipped(index, last)
            given.append(last)
    return given


def test_on_a_straight_path_the_sampler_is_given_back_all_that_was_missed():
    velocities = straight()
    corrector = StretchCorrector(correction(velocities))
    given = handed_on(velocities, "X..X.X.X", corrector)
    for end in (3, 5, 7):
        got = sum(size * v for size, v in zip(SIZES[: end + 1], given, strict=False))
        meant = sum(size * v for size, v in zip(SIZES[: end + 1], velocities, strict=False))
        assert torch.allclose(got, meant, atol=1e-7)


def test_half_the_strength_gives_back_half():
    velocities = straight()
    whole, half = (
        handed_on(velocities, "X..X....", StretchCorrector(correction(velocities, strength=strength)))[3]
        for strength in (1.0, 0.5)
    )
    assert torch.allclose(half - velocities[3], (whole - velocities[3]) / 2, atol=1e-7)


def test_a_computed_step_behind_a_computed_one_is_handed_on_as_it_is():
    velocities = straight()
    corrector = StretchCorrector(correction(velocities))
    assert all(given is v for given, v in zip(handed_on(velocities, "XX", corrector), velocities, strict=False))


def test_less_is_given_back_the_less_noise_is_left():
    velocities = straight()
    weights = [correction(velocities, noise=noise).of((2,), 5)[1] for noise in (1.0, 0.5, 0.1)]
    shares = [1 / 3, 2 / 3]
    covered = sum(shares) / STEPS + 1 / STEPS
    assert weights == pytest.approx([1 / (1 + covered / noise) for noise in (1.0, 0.5, 0.1)], rel=1e-3)


def test_where_a_stretch_misses_much_its_end_is_no_guide():
    turning = correction(straight(turn=1.0))
    assert turning.missed((1,), 6) > 0.05
    assert turning.of((1,), 6)[1] < 1e-3


def test_two_outputs_are_held_and_no_more():
    velocities = straight()
    corrector = StretchCorrector(correction(velocities))
    handed_on(velocities, "X...X.", corrector)
    held = [value for value in attrs.asdict(corrector, recurse=False).values() if isinstance(value, torch.Tensor)]
    assert len(held) == 2


def test_an_output_of_half_precision_stays_one():
    velocities = [v.bfloat16() for v in straight()]
    corrector = StretchCorrector(correction(straight()))
    assert all(given.dtype == torch.bfloat16 for given in handed_on(velocities, "X.X.X.X.", corrector))


def test_the_plan_is_the_best_of_all_patterns_as_they_are_corrected(rows, scales, outputs):
    seen, sizes = outputs(STEPS, seed=STEPS), np.random.default_rng(1).uniform(0.5, 2, STEPS) / STEPS
    correcting = Correction(seen, sizes, np.linspace(1, 0.1, STEPS), Reuse(), 1.0)
    plans = plan_all(seen, sizes, Reuse(), max_gap=6, correction=correcting)
    y = rows(STEPS, STEPS)

    def error(pattern):
        computed = [step for step, mark in enumerate(pattern) if mark == "X"]
        total = 0.0
        for before, after in itertools.pairwise([*computed, STEPS]):
            stretch = range(before + 1, after)
            missed = sum((sizes[t] * (y[t] - y[before]) for t in stretch), np.zeros(y.shape[1]))
            if after == STEPS or not stretch:
                total += missed @ missed
                continue
            shares, strength = correcting.of((before,), after)
            between = sum(
                sizes[t] * (y[t] - (1 - w) * y[before] - w * y[after]) for t, w in zip(stretch, shares, strict=True)
            )
            left = (1 - strength) * missed + strength * between
            total += left @ left + STALE * strength * (missed @ missed)
        return total

    best = {}
    for rest in itertools.product("X.", repeat=STEPS - 1):
        pattern = "X" + "".join(rest)
        if "." * 7 not in pattern:
            best[pattern.count("X")] = min(best.get(pattern.count("X"), (math.inf, "")), (error(pattern), pattern))
    for count, (cost, pattern) in best.items():
        assert plans.costs[count] == pytest.approx(cost, rel=1e-9, abs=1e-12)
        assert plans.pattern(count) == pattern


def test_nothing_is_corrected_where_the_sampler_is_not_known_to_be_eulers(measured):
    strategy = GramCache(**measured(30))
    run = cachekit.Run(30, cachekit.Damped())
    assert strategy.corrector(run) is None
    assert strategy.corrector(attrs.evolve(run, euler=True)) is not None
    assert GramCache(correction=0, **measured(30)).corrector(attrs.evolve(run, euler=True)) is None


def test_on_the_embedded_model_the_result_is_nearer_to_the_uncached_one():
    from cachekit.cli.choices import choose_cache, choose_model
    from cachekit.generation.generate import attach_cache
    from cachekit.registry.plugins import get_plugins

    chosen = choose_model("opensora-mini", get_plugins(), {})
    pipeline = chosen.model.load(device="cpu", dtype=None)
    prompts = chosen.model.calibration_prompts[:4]

    def latents(prompt, spec):
        text = pipeline.encode_text(prompt)
        cache = choose_cache(spec, {}, None, None, chosen, 30, get_plugins())
        if cache is None:
            return pipeline.denoise(text, seed=0, steps=30, guidance_scale=4.0)
        with attach_cache(pipeline, cache, 30):
            return pipeline.denoise(text, seed=0, steps=30, guidance_scale=4.0)

    wholes = {prompt: latents(prompt, "none") for prompt in prompts}

    def missed(correction):
        spec = f"gramcache:computed=12:correction={correction}"
        return sum(float((latents(prompt, spec) - wholes[prompt]).square().mean()) for prompt in prompts)

    assert missed(1) < 0.8 * missed(0)


def test_what_a_plan_s_stretches_need_is_found_before_the_run(measured, monkeypatch):
    run = cachekit.Run(30, cachekit.Damped(), euler=True)
    strategy = GramCache(computed=10, **measured(30))
    pattern, corrector = strategy.plan(run), strategy.corrector(run)
    monkeypatch.setattr(Outputs, "missed", None)
    monkeypatch.setattr(Outputs, "shares", None)
    outputs = [torch.full((1, 4, 2), float(index)) for index in range(30)]
    given = handed_on(outputs, pattern, corrector)
    computed = [index for index in range(30) if pattern[index] == "X"]
    changed = [index for index in computed if not torch.equal(given[index], outputs[index])]
    assert changed == [index for index in computed if pattern[:index].endswith(".")]
