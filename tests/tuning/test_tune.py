"""`cachekit tune`: the best that was tried, checked elsewhere, resumable, and honest."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
from cachekit_predictors import Reuse
from tiny_model import CIRCLE, SQUARE, Cachekit

import cachekit as public
from cachekit.cli.progress import Lines
from cachekit.errors import CachekitError
from cachekit.generation.generate import Cache
from cachekit.interface.predictor import Damped
from cachekit.registry.grid import Choice
from cachekit.tuning.bar import Bar, Figures
from cachekit.tuning.search import Search, open_study
from cachekit.tuning.space import Dimension, space_of

optuna = pytest.importorskip("optuna", reason="tune needs optuna: pip install 'cachekit-dit[tune]'")

Tune = Callable[..., tuple[int, dict[str, Any], str]]


@pytest.fixture
def tune(cachekit: Cachekit, weights: Path, tmp_path: Path) -> Tune:
    """Tunes on the tiny model at 8 steps, searching on one prompt and checking on another."""
    (tmp_path / "check.txt").write_text(SQUARE)

    def run(*options: object) -> tuple[int, dict[str, Any], str]:
        model = ("--weights", weights, "--steps", 8, "--prompt", CIRCLE, "--check-prompts", tmp_path / "check.txt")
        status, out, errors = cachekit("tune", *options, *model, "--folder", tmp_path / "tune", "--json", "-")
        return status, json.loads(out) if out else {}, errors

    return run


def test_the_answer_is_the_best_quality_at_the_speed(tune: Tune, tmp_path: Path) -> None:
    status, found, errors = tune("uniform", "--min-speedup", 2, "--search", "computed=2,3,4,5,6", "--trials", 14)
    assert status in (0, 1), errors
    lines = [
        line for line in errors.splitlines() if " PSNR " in line and line.startswith("[") and "dB (worst" not in line
    ]
    psnrs = [float(line.rpartition("PSNR ")[2].removesuffix(" dB")) for line in lines]
    assert found["best"]["ideal_speedup"] >= 2
    assert found["best"]["psnr"] == pytest.approx(max(psnrs), abs=0.01)
    assert all(float(line.partition("speedup ")[2].partition(",")[0]) >= 2 for line in lines), "slower ones are not run"
    assert found["check"]["psnr"] != found["best"]["psnr"]


def test_the_answer_is_the_greatest_speed_at_the_quality(tune: Tune) -> None:
    _, found, errors = tune("uniform", "--min-psnr", 1, "--search", "computed=3,5,7", "--trials", 12)
    assert found["best"]["set"] == {"computed": "3"}, errors
    assert found["best"]["psnr"] >= 1


def test_the_settings_file_is_what_run_takes(tune: Tune, cachekit: Cachekit, weights: Path, tmp_path: Path) -> None:
    _, found, _ = tune("uniform", "--min-psnr", 1, "--search", "computed=3,5", "--predictor", "taylor", "--trials", 4)
    settings = Path(found["file"])
    assert "# on 1 other prompts: PSNR" in settings.read_text(encoding="utf-8")
    status, out, errors = cachekit(
        *("run", "--config", settings, "--prompt", SQUARE, "--out", tmp_path / "out", "--json", "-")
    )
    assert status == 0, errors
    ran = json.loads(out)
    assert (ran["setting"]["strategy"], ran["setting"]["steps"]) == ("uniform", 8)
    assert ran["setting"]["predictor"] == "taylor:order=1"
    assert str(ran["setting"]["params"]["computed"]) == found["best"]["set"]["computed"]


def test_it_says_when_nothing_meets_the_bar(tune: Tune, tmp_path: Path) -> None:
    status, found, _ = tune("uniform", "--min-psnr", 99, "--search", "computed=2,3", "--trials", 4)
    assert (status, found["met"]) == (1, False)
    assert found["nearest"]["psnr"] < 99
    assert not (tmp_path / "tune" / "settings.toml").exists()


def test_it_goes_on_where_it_was_stopped(tune: Tune) -> None:
    options = ("uniform", "--min-psnr", 1, "--search", "computed=3,4,5,6")
    _, first, errors = tune(*options, "--trials", 3)
    assert errors.count(" + ") >= 3
    _, second, errors = tune(*options, "--trials", 5)
    assert (first["trials"], second["trials"]) == (3, 5)
    assert len([line for line in errors.splitlines() if "ideal speedup" in line and "worst" not in line]) == 2
    status, _, errors = tune("uniform", "--min-psnr", 2, "--search", "computed=3,4,5,6", "--trials", 5)
    assert (status, "was tuned with bar" in errors) == (2, True)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("uniform",), "either --min-speedup or --min-psnr"),
        (("uniform", "--min-psnr", "30", "--min-speedup", "2"), "either --min-speedup or --min-psnr"),
        (("unifrom", "--min-psnr", "30"), "did you mean 'uniform'"),
        (("uniform", "--min-psnr", "30", "--search", "computd=1..3"), "did you mean 'computed'"),
        (("uniform", "--min-psnr", "30", "--search", "computed=3..1"), "is no range"),
        (("uniform", "--min-psnr", "30", "--set", "computed=3"), "no parameter left to search"),
        (("uniform", "--min-psnr", "30", "--predictor", "taylro"), "did you mean 'taylor'"),
        (("none", "--min-psnr", "30", "--search", "x=1..2"), "no parameter of none named 'x'"),
    ],
)
def test_a_search_that_can_not_run_is_refused_first(
    tune: Tune, tmp_path: Path, options: tuple[str, ...], reason: str
) -> None:
    status, _, errors = tune(*options)
    assert (status, reason in errors) == (2, True), errors
    assert not (tmp_path / "tune").exists()


def test_a_folder_tuned_under_other_conditions_is_refused_in_a_line(tmp_path: Path) -> None:
    open_study(tmp_path, {"set": {"a": "1", "b": "2"}, "profile": "x" * 9000})
    with pytest.raises(CachekitError, match="was tuned with set b '2', not '3'; choose another --folder"):
        open_study(tmp_path, {"set": {"a": "1", "b": "3"}, "profile": "x" * 9000})
    with pytest.raises(CachekitError, match="was tuned with profile 'xxx") as refusal:
        open_study(tmp_path, {"set": {"a": "1", "b": "2"}, "profile": "y" * 9000})
    assert len(str(refusal.value)) < 400


@attrs.define
class Strategy(public.Strategy):
    """A stranger's."""

    share: float = 0.2
    count: int = 3
    careful: bool = False
    table: list[float] | None = attrs.field(default=None, metadata=public.measured("measured"))


@attrs.define
class Fitting(public.Strategy):
    """One plan, and a predictor that depends on a parameter."""

    slope: float = 0.5

    def plan(self, run: public.Run) -> str:
        return "XX.."

    def fit_predictor(self, run: public.Run) -> public.Predictor:
        return Damped(slope=self.slope) if isinstance(run.predictor, Damped) else run.predictor


@pytest.mark.parametrize(("predictor", "times"), [(Damped(), 3), (Reuse(), 1)])
def test_one_plan_runs_once_for_each_predictor_fitted_to_it(
    tmp_path: Path, predictor: public.Predictor, times: int
) -> None:
    ran: list[float] = []

    def resolve(strategy: Choice, _: Choice | None, steps: int) -> Cache:
        return Cache(Fitting(float(strategy.settings["slope"])), predictor)

    def measure(cache: Cache) -> Figures:
        assert isinstance(cache.strategy, Fitting)
        ran.append(cache.strategy.slope)
        return Figures(cache.strategy.slope, 0.0, 2.0, 2.0)

    space = [Dimension("slope", options=("0.1", "0.2", "0.3"))]
    study = open_study(tmp_path, {})
    timesteps = (1000.0, 750.0, 500.0, 250.0)
    search = Search("fitting", {}, space, [Choice("p")], Bar(min_psnr=0), resolve, 4, timesteps, study)
    search.run(24, measure, Lines(24))
    assert len({tried.strategy.spec for tried in search.tried()}) == 3
    assert len(ran) == len(set(ran)) == times
    assert {tried.figures.psnr for tried in search.tried()} == set(ran)


def test_parameters_are_searched_around_their_defaults_unless_said_or_set() -> None:
    assert space_of(Strategy, "s", {}, []) == [
        Dimension("share", 0.2 / 8, 0.8),
        Dimension("count", 1, 9, whole=True),
        Dimension("careful", options=("false", "true")),
    ]
    assert space_of(Strategy, "s", {"careful": "true"}, ["share=0.1..0.3", "count=2,4"]) == [
        Dimension("share", 0.1, 0.3),
        Dimension("count", options=("2", "4")),
    ]
    with pytest.raises(CachekitError, match="both set and searched"):
        space_of(Strategy, "s", {"count": "3"}, ["count=2,4"])


def test_settings_under_the_bar_rank_below_all_that_meet_it_by_how_much_they_miss() -> None:
    def reached(psnr: float, speed: float) -> Figures:
        return Figures(psnr, psnr, speed, speed)

    quality = Bar(min_psnr=30)
    assert quality.score(reached(31, 1.1)) > quality.score(reached(29.9, 5)) > quality.score(reached(20, 6))
    assert quality.score(reached(31, 2.0)) > quality.score(reached(45, 1.5))
    speed = Bar(min_speedup=2)
    assert speed.score(reached(20, 2.0)) > speed.score(reached(60, 1.9)) > speed.score(reached(60, 1.2))
    assert speed.score(reached(31, 2.0)) > speed.score(reached(30, 9.0))
