"""The field's predictors, on their schedules, beside what their public code computes on one small seeded model."""

import pytest
import torch
from cachekit_foca import FoCa
from cachekit_hicache import HiCache
from cachekit_interval import Interval
from cachekit_predictors import Taylor
from cachekit_spectrum import Spectrum
from cachekit_taylorseer import TaylorSeer
from field_golden import FOLDER, TOLERANCE, cached, final, golden, runs
from safetensors.torch import load_file
from strategies_for_tests import Pattern

import cachekit


def check(name, run, strategy, predictor):
    patterns, latents = cached(strategy, predictor)
    assert patterns == [run["pattern"]]
    assert (latents - final(name, run)).abs().max() <= TOLERANCE


def named(cases):
    return pytest.mark.parametrize("run", cases, ids=lambda run: run["name"])


@named(runs("taylorseer"))
def test_taylorseer_on_its_interval(run):
    predictor = TaylorSeer(order=run["max_order"], first=run["first_enhance"], of=run["feature"])
    check("taylorseer", run, Interval(n=run["interval"], first=run["first_enhance"]), predictor)


@named(runs("hicache"))
def test_hicache_on_its_interval(run):
    predictor = HiCache(order=run["max_order"], sigma=run["sigma"], of=run["feature"])
    check("hicache", run, Interval(n=run["interval"], first=run["first_enhance"]), predictor)


@named(runs("foca"))
def test_foca_on_given_patterns(run):
    check("foca", run, Pattern(run["pattern"]), FoCa(of=run["feature"]))


@named([run for run in runs("spectrum") if run["dtype"] == "float32"])
def test_spectrum_on_its_growing_interval(run):
    predictor = Spectrum(degree=run["M"], ridge=run["lam"], w=run["w"], of=run["feature"])
    schedule = Interval(n=run["window"], first=run["warmup"], growth=run["flex"])
    check("spectrum", run, schedule, predictor)


def step(index):
    return cachekit.Step(index, 30, 0, torch.zeros(1), None)


def test_spectrum_forecasts_a_series():
    stored = load_file(FOLDER / "spectrum.safetensors")
    predictor = Spectrum(degree=4, ridge=0.1, w=0.5, of="residual")
    for index, (true, forecast) in enumerate(zip(stored["series"], stored["series.predicted"], strict=True)):
        if index < 5 or index % 3 == 0:
            predictor.update(step(index), true)
        else:
            assert torch.allclose(predictor.predict(step(index)), forecast, atol=1e-4)


def test_taylorseer_of_order_2_is_no_polynomial_through_its_points():
    """t² at 0, 4 and 8, asked at 10: the published code says 92, where the polynomial says 100."""
    formula = golden("taylorseer")["formula"]
    predictors = TaylorSeer(order=2, first=0), Taylor(order=2)
    for predictor in predictors:
        for index in (0, 4, 8):
            predictor.update(step(index), torch.tensor([float(index**2)]))
    told, polynomial = (predictor.predict(step(10)).item() for predictor in predictors)
    assert told == pytest.approx(formula["gives"]) == pytest.approx(92)
    assert polynomial == pytest.approx(100)


@pytest.mark.parametrize("computed", [[0], [0, 1], [3, 7], [0, 10]])
def test_taylorseer_of_order_1_is_taylor(computed):
    assert TaylorSeer(order=1, first=0).weights(computed, 12) == pytest.approx(Taylor(order=1).weights(computed, 12))


@pytest.mark.parametrize("computed", [[0], [0, 1], [3, 7], [0, 10]])
def test_hicache_of_order_1_at_half_a_sigma_is_damped_at_half_the_slope(computed):
    damped = cachekit.Damped(slope=0.5).weights(computed, 12)
    assert HiCache(order=1, sigma=0.5).weights(computed, 12) == pytest.approx(damped)


def test_hicache_s_polynomials_are_hermite_s_scaled():
    predictor, x, s = HiCache(sigma=0.3), 5.0, 0.3
    y = s * x
    expected = [1, s * 2 * y, s**2 * (4 * y**2 - 2), s**3 * (8 * y**3 - 12 * y)]
    assert [predictor.hermite(degree, x) for degree in range(4)] == pytest.approx(expected)


@pytest.mark.parametrize(
    "predictor", [TaylorSeer(of="output"), HiCache(of="output"), FoCa(of="output"), Spectrum(ridge=1e-6)]
)
def test_what_forecasts_outputs_takes_the_step_s_own_input_away(predictor):
    """One output repeated: whatever the input, the forecast brings the span to that output."""
    for index in (0, 1, 2):
        hidden = torch.full((1,), float(index))
        predictor.update(cachekit.Step(index, 9, 0, hidden, None), torch.tensor([7.0]) - hidden)
    hidden = torch.tensor([40.0])
    forecast = predictor.predict(cachekit.Step(3, 9, 0, hidden, None))
    assert (hidden + forecast).item() == pytest.approx(7.0, abs=0.5)
