"""What real pipelines do to a session: after any of it, a run errs no more than in a fresh session, or it was said."""

from __future__ import annotations

import itertools
import warnings

import attrs
import pytest
import torch
from loops import CAPTION, NULL, PLMS, Drift, EveryThird, Loop, Pipeline, Walk, falling, heun, in_turn, shifted

import cachekit

TEN, GUIDED = falling(10), range(10)
THREE = (CAPTION, NULL, 2 * CAPTION)


def whole(**options) -> Loop:
    return Loop(TEN, seed=7, **options)


def fail_in_block(model, session):
    """An exception inside the model, in the middle of a run."""
    block = model.temporal_blocks[1]
    calls = []

    def breaks(*args):
        calls.append(1)
        if len(calls) == 2:
            raise MemoryError("out of memory")

    handle = block.register_forward_pre_hook(lambda module, args: breaks())
    try:
        Loop(TEN)(model)
    except MemoryError:
        pass
    finally:
        handle.remove()


def warm_up(*timesteps: float):
    """Calls that belong to no run, as before compiling or timing."""

    def play(model, session):
        for timestep in timesteps:
            Loop([timestep], seed=3)(model)

    return play


def plays(*loops: Loop):
    def play(model, session):
        for loop in loops:
            loop(model)

    return play


def paused(*loops: Loop):
    def play(model, session):
        with session.paused():
            for loop in loops:
                loop(model)

    return play


def timestep_of_nan(model, session):
    """A call whose timestep is no number, in the middle of a run."""
    Loop(TEN, stop_after=3)(model)
    Loop([float("nan")])(model)


def in_inference_mode(model, session):
    with torch.inference_mode():
        Loop(TEN)(model)


def one_step_runs(model, session):
    for seed in range(10):
        Loop([1000.0], seed=seed)(model)


def other_model(model, session):
    """Another session on another model at the same time."""
    from stand_ins import OpenSoraLike

    other = OpenSoraLike()
    with cachekit.attach(other, EveryThird(), steps=10):
        Loop(TEN, stop_after=4)(other)


@attrs.frozen
class Situation:
    """What a session has been through, and the run that comes then."""

    before: object
    then: Loop = attrs.field(factory=whole)
    steps: int = 10
    calls_per_step: int | None = None
    exact: bool = True
    """Whether all can be told apart, so that the run must go as in a fresh session, with no warning asked for."""


SITUATIONS = {
    "a whole run": Situation(plays(Loop(TEN))),
    "three whole runs": Situation(plays(Loop(TEN), Loop(TEN, seed=1), Loop(TEN, seed=2))),
    "the very same run": Situation(plays(whole())),
    "image-to-image at 0.4, then 0.7": Situation(
        plays(Loop(falling(4, 400.0))), Loop(falling(7, 700.0), seed=7), exact=False
    ),
    "image-to-image at 0.7, then 0.4": Situation(
        plays(Loop(falling(7, 700.0))), Loop(falling(4, 400.0), seed=7), exact=False
    ),
    "image-to-image, then a whole run": Situation(plays(Loop(falling(4, 400.0)))),
    "told 10, ran 14": Situation(plays(Loop(falling(14)))),
    "told 10, ran 14, twice": Situation(plays(Loop(falling(14)), Loop(falling(14), seed=1))),
    "told 10, ran 6": Situation(plays(Loop(falling(6)))),
    "told 10, ran 14 now": Situation(plays(Loop(TEN)), Loop(falling(14), seed=7), exact=False),
    "told 30, ran 20": Situation(plays(Loop(falling(20))), Loop(falling(30), seed=7), steps=30),
    "cut after the first step": Situation(plays(Loop(TEN, stop_after=1))),
    "cut after the second step": Situation(plays(Loop(TEN, stop_after=2))),
    "cut after the last step but one": Situation(plays(Loop(TEN, stop_after=9))),
    "cut thrice after the first step": Situation(plays(*[Loop(TEN, seed=s, stop_after=1) for s in range(3)])),
    "cut after the first step, calls told": Situation(plays(Loop(TEN, stop_after=1)), calls_per_step=1),
    "cut late, then a run that begins lower": Situation(
        plays(Loop(TEN, stop_after=3)), Loop(falling(4, 300.0), seed=7), exact=False
    ),
    "a warm-up call in the middle of the schedule": Situation(warm_up(500.0)),
    "a warm-up call at the first timestep": Situation(warm_up(1000.0)),
    "warm-up calls at one timestep": Situation(warm_up(1000.0, 1000.0, 1000.0)),
    "warm-up calls that rise": Situation(warm_up(100.0, 500.0), exact=False),
    "a warm-up call, then timesteps that rise": Situation(warm_up(500.0), Loop(TEN[::-1], seed=7), exact=False),
    "a warm-up call at the end of the schedule": Situation(warm_up(0.0)),
    "guided, calls found": Situation(plays(Loop(TEN, guided=GUIDED)), whole(guided=GUIDED)),
    "guided, calls told": Situation(plays(Loop(TEN, guided=GUIDED)), whole(guided=GUIDED), calls_per_step=2),
    "guided, then not": Situation(plays(Loop(TEN, guided=GUIDED))),
    "not guided, then guided": Situation(plays(Loop(TEN)), whole(guided=GUIDED)),
    "guided, cut between the calls of the first step": Situation(
        plays(Loop(TEN, guided=GUIDED, stop_after=1)), whole(guided=GUIDED)
    ),
    "guided and told, cut between the calls of the first step": Situation(
        plays(Loop(TEN, guided=GUIDED, stop_after=1)), whole(guided=GUIDED), calls_per_step=2
    ),
    "guided, cut between the calls of a later step": Situation(
        plays(Loop(TEN, guided=GUIDED, stop_after=7)), whole(guided=GUIDED)
    ),
    "guided and told, cut between the calls of a later step": Situation(
        plays(Loop(TEN, guided=GUIDED, stop_after=7)), whole(guided=GUIDED), calls_per_step=2
    ),
    "guidance that ends after 5": Situation(plays(Loop(TEN, guided=range(5))), whole(guided=range(5))),
    "guidance that ends after 5, two calls told": Situation(
        plays(Loop(TEN, guided=range(5))), whole(guided=range(5)), calls_per_step=2
    ),
    "guidance that begins after 5": Situation(plays(Loop(TEN, guided=range(5, 10))), whole(guided=range(5, 10))),
    "guidance in an interval": Situation(plays(Loop(TEN, guided=range(3, 6))), whole(guided=range(3, 6))),
    "guided, latents copied for each call": Situation(
        plays(Loop(TEN, guided=GUIDED, fresh_tensors=True)), whole(guided=GUIDED, fresh_tensors=True)
    ),
    "latents in one buffer, cut after the first step": Situation(
        plays(Loop(TEN, in_place=True, stop_after=1)), whole(in_place=True)
    ),
    "another batch size": Situation(plays(Loop(TEN, batch=3))),
    "another size": Situation(plays(Loop(TEN, tokens=9))),
    "another size, cut": Situation(plays(Loop(TEN, tokens=9, stop_after=3))),
    "a batch whose first timestep is 0": Situation(
        plays(Loop(TEN, batch=2, per_token=True)), whole(batch=2, per_token=True)
    ),
    "a second pass at a higher resolution, twice": Situation(
        plays(
            Loop(falling(30)),
            Loop(falling(4, 300.0), tokens=12),
            Loop(falling(30), seed=1),
            Loop(falling(4, 300.0), tokens=12),
        ),
        Loop(falling(30), seed=7),
        steps=30,
    ),
    "an exception inside the model": Situation(fail_in_block),
    "an exception, then a run cut short": Situation(
        lambda model, session: (fail_in_block(model, session), Loop(TEN, stop_after=2)(model))
    ),
    "calls within paused()": Situation(paused(Loop(TEN, stop_after=5), Loop([500.0]))),
    "a run broken off by paused() calls": Situation(
        lambda model, session: (Loop(TEN, stop_after=4)(model), paused(Loop(TEN))(model, session))
    ),
    "a reset in the middle": Situation(lambda model, session: (Loop(TEN, stop_after=4)(model), session.reset())),
    "other steps by reset, and back": Situation(
        lambda model, session: (
            session.reset(steps=6),
            Loop(falling(6))(model),
            session.reset(steps=10),
        )
    ),
    "another session on another model": Situation(other_model),
    "timesteps that rise": Situation(plays(Loop(TEN[::-1])), Loop(TEN[::-1], seed=7), exact=False),
    "timesteps that rise from the middle": Situation(
        plays(Loop([400.0 + 60 * i for i in range(10)])), Loop([400.0 + 60 * i for i in range(10)], seed=7), exact=False
    ),
    "a shifted schedule": Situation(plays(Loop(shifted(10, 17.0))), Loop(shifted(10, 17.0), seed=7)),
    "another shift": Situation(plays(Loop(shifted(10, 3.0)))),
    "whole-number timesteps": Situation(plays(Loop(TEN, dtype=torch.int64)), whole(dtype=torch.int64)),
    "whole-number timesteps of 64 bits that rise": Situation(
        plays(Loop(TEN[::-1], dtype=torch.int64)), Loop(TEN[::-1], seed=7, dtype=torch.int64), exact=False
    ),
    "timesteps in float64": Situation(plays(Loop(TEN, dtype=torch.float64)), whole(dtype=torch.float64)),
    "timesteps in float16": Situation(plays(Loop(TEN, dtype=torch.float16)), whole(dtype=torch.float16)),
    "timesteps that fall together in bfloat16": Situation(
        plays(Loop(shifted(30, 17.0), dtype=torch.bfloat16)),
        Loop(shifted(30, 17.0), seed=7, dtype=torch.bfloat16),
        steps=30,
        exact=False,
    ),
    "timesteps in bfloat16": Situation(plays(Loop(TEN, dtype=torch.bfloat16)), whole(dtype=torch.bfloat16)),
    "strengths that go up": Situation(plays(*[Loop(falling(n, 100.0 * n), seed=n) for n in (2, 3, 5, 7, 9)])),
    "a timestep that is not a number": Situation(timestep_of_nan),
    "Heun's sampler": Situation(plays(Walk(heun(6))), Walk(heun(6)), steps=11),
    "Heun's sampler, then another": Situation(plays(Walk(heun(6)))),
    "Heun's sampler, guided": Situation(
        plays(Walk(heun(6), captions=(CAPTION, NULL))), Walk(heun(6), captions=(CAPTION, NULL)), steps=6
    ),
    "a second order by half steps": Situation(
        plays(Walk(falling(10))),
        Walk([t for pair in itertools.pairwise(TEN) for t in (pair[0], sum(pair) / 2)]),
        steps=18,
    ),
    "a second timestep that is taken twice": Situation(plays(Walk(PLMS)), Walk(PLMS), steps=9),
    "restarts": Situation(plays(Walk([*TEN[:6], *TEN[3:]])), Walk([*TEN[:6], *TEN[3:]]), exact=False),
    "restarts, then a plain run": Situation(plays(Walk([*TEN[:6], *TEN[3:]]))),
    "going back a step twice, then a plain run": Situation(plays(Walk([*TEN[:5], *TEN[3:8], *TEN[6:]]))),
    "a sampler that takes each timestep twice": Situation(plays(Walk(TEN, churn=True)), Walk(TEN, churn=True)),
    "a batch of differing timesteps": Situation(plays(Walk(TEN, seed=1, rows=(0.5, 1.0))), Walk(TEN, rows=(1.0, 0.5))),
    "three branches": Situation(plays(Walk(TEN, captions=THREE)), Walk(TEN, captions=THREE)),
    "three branches told": Situation(plays(Walk(TEN, captions=THREE)), Walk(TEN, captions=THREE), calls_per_step=3),
    "three branches, then one": Situation(plays(Walk(TEN, captions=THREE))),
    "generations that take turns": Situation(plays(in_turn(1, 2)), in_turn(7, 8), exact=False),
    "generations that take turns, then one": Situation(plays(in_turn(1, 2))),
    "timesteps from 1 to 0": Situation(plays(Walk([t / 1000 for t in TEN])), Walk([t / 1000 for t in TEN])),
    "timesteps below 0": Situation(
        plays(Walk([3 - 0.7 * i for i in range(10)])), Walk([3 - 0.7 * i for i in range(10)])
    ),
    "a run in inference mode": Situation(in_inference_mode),
    "ten runs of one step": Situation(one_step_runs),
    "runs of fewer steps than told": Situation(plays(*[Loop(falling(4), seed=seed) for seed in range(3)])),
    "two steps": Situation(plays(Loop(falling(2))), Loop(falling(2), seed=7), steps=2),
    "guidance that ends, without its caption first": Situation(
        plays(Pipeline(("10",) * 5 + ("0",) * 5, seed=1)), Pipeline(("10",) * 5 + ("0",) * 5)
    ),
    "guidance that begins, without its caption first": Situation(
        plays(Pipeline(("0",) * 5 + ("10",) * 5, seed=1)), Pipeline(("0",) * 5 + ("10",) * 5)
    ),
    "branches that change places": Situation(plays(Pipeline(("01", "10") * 5, seed=1)), Pipeline(("01", "10") * 5)),
    "a caption that changes on the way": Situation(
        plays(Pipeline(("0",) * 4 + ("2",) * 6, seed=1)), Pipeline(("0",) * 4 + ("2",) * 6), exact=False
    ),
    "cut after three steps, then a run of another caption from the fourth on": Situation(
        plays(Pipeline("0", seed=1, stop_after=3)), Pipeline("2", first=3), exact=False
    ),
    "guided, cut after three steps, then another caption from the fourth on": Situation(
        plays(Pipeline("01", seed=1, stop_after=3)), Pipeline("21", first=3), exact=False
    ),
    "cut after three steps, then another size from the fourth on": Situation(
        plays(Loop(TEN[:3], tokens=9)), Loop(TEN[3:], seed=7), exact=False
    ),
    "one step": Situation(plays(Loop(falling(1))), Loop(falling(1), seed=7), steps=1),
}


@pytest.mark.parametrize("strategy", [EveryThird, Drift])
@pytest.mark.parametrize("situation", SITUATIONS.values(), ids=SITUATIONS.keys())
def test_a_run_errs_no_more_than_in_a_fresh_session_or_it_was_said(transformer, situation, strategy):
    wanted = situation.then(transformer)
    options = {"steps": situation.steps, "calls_per_step": situation.calls_per_step}
    with warnings.catch_warnings(), cachekit.attach(transformer, strategy(), **options) as fresh:
        warnings.simplefilter("ignore")
        alone = situation.then(transformer)
    with (
        warnings.catch_warnings(record=True) as said,
        cachekit.attach(transformer, strategy(), **options) as session,
    ):
        warnings.simplefilter("always")
        situation.before(transformer, session)
        after = situation.then(transformer)
    if situation.exact:
        assert torch.equal(after, alone)
        assert session.trace == fresh.trace
    elif not said:
        assert error(after, wanted) <= error(alone, wanted) * (1 + 1e-6)


def error(latents: torch.Tensor, wanted: torch.Tensor) -> float:
    return float((latents - wanted).norm() / wanted.norm())


def test_every_whole_run_is_recorded_between_passes_of_another_resolution(transformer):
    with pytest.warns(cachekit.CachekitWarning, match="ended after 4 of the 30"):
        with cachekit.attach(transformer, EveryThird(), steps=30) as session:
            for seed in range(3):
                Loop(falling(30), seed=seed)(transformer)
                Loop(falling(4, 300.0), tokens=12)(transformer)
        assert [trace.pattern for trace in session.traces] == ["X.." * 10] * 3


def test_guidance_is_found_and_its_branches_are_told_apart(transformer):
    with cachekit.attach(transformer, EveryThird(), steps=10) as session:
        whole(guided=GUIDED)(transformer)
        whole(guided=range(5, 10))(transformer)
    both, late = session.traces
    assert [branch.pattern for branch in both.branches] == ["X..X..X..X"] * 2
    assert [branch.pattern for branch in late.branches] == ["X..X..X..X", "_____XX..X"]


@pytest.mark.parametrize(
    ("then", "steps", "calls", "words"),
    [
        (Loop(falling(14)), 10, None, "more than the 10 steps that were told"),
        (whole(guided=range(5)), 10, 2, "a step made 1 calls"),
    ],
)
def test_what_does_not_fit_what_was_told_is_said_once(transformer, then, steps, calls, words):
    with (
        warnings.catch_warnings(record=True) as said,
        cachekit.attach(transformer, EveryThird(), steps=steps, calls_per_step=calls),
    ):
        warnings.simplefilter("always")
        then(transformer)
        then(transformer)
    assert len([warning for warning in said if words in str(warning.message)]) == 1


def test_steps_beyond_those_told_are_computed(transformer):
    with pytest.warns(cachekit.CachekitWarning), cachekit.attach(transformer, EveryThird(), steps=10) as session:
        Loop(falling(14))(transformer)
    assert session.trace.pattern == "X..X..X..XXXXX"


def test_without_watching_no_tensor_is_read_and_runs_begin_with_reset(transformer, scalar_reads):
    with cachekit.attach(transformer, EveryThird(), steps=10, watch=False) as session, scalar_reads as reads:
        Loop(TEN, stop_after=4)(transformer)
        session.reset()
        whole()(transformer)
    assert reads.seen == []
    assert session.traces[0].pattern == "X..X..X..X"
