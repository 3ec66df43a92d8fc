"""Runs: their state, their ends, and what may cut them short."""

import attrs
import pytest
import torch
from cachekit_predictors import Reuse, Taylor
from strategies_for_tests import CountsCalls, EveryOther, Never, Pattern

import cachekit
from cachekit.attaching.run import Branch
from cachekit.interface.predictor import Damped


@pytest.fixture
def clean(transformer, run):
    """The outputs of one run of `X..X..` on a fresh session: what every later run must equal."""
    with cachekit.attach(transformer, Pattern("X..X.."), steps=6):
        return run(6)


def same(a, b):
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def test_a_second_run_equals_the_first(transformer, run, clean):
    with cachekit.attach(transformer, Pattern("X..X.."), steps=6) as session:
        run(6, tokens=6)
        assert same(run(6), clean)
    assert [trace.pattern for trace in session.traces] == ["X..X..", "X..X.."]


def test_a_run_after_one_cut_short_starts_clean(transformer, run, call, clean):
    with cachekit.attach(transformer, Pattern("X..X.."), steps=6) as session:
        call(1000.0, seed=7)
        call(800.0, seed=8)
        assert same(run(6), clean)
        assert [trace.pattern for trace in session.traces] == ["X..X.."]


def test_a_run_after_reset_starts_clean(transformer, run, call, clean):
    with cachekit.attach(transformer, Pattern("X..X.."), steps=6) as session:
        call(1000.0, seed=7)
        session.reset()
        assert same(run(6), clean)


def test_a_run_after_an_exception_in_a_block_starts_clean(transformer, run, call, clean):
    block = transformer.temporal_blocks[1]
    with cachekit.attach(transformer, Pattern("X..X.."), steps=6):
        call(1000.0, seed=7)
        handle = block.linear.register_forward_pre_hook(lambda *_: (_ for _ in ()).throw(RuntimeError("out of memory")))
        call(800.0)
        call(700.0)
        with pytest.raises(RuntimeError, match="out of memory"):
            call(600.0)
        handle.remove()
        assert same(run(6), clean)


def test_a_run_after_an_exception_behind_the_body_starts_clean(transformer, run, call, clean):
    with cachekit.attach(transformer, Pattern("X..X.."), steps=6):
        handle = transformer.final.register_forward_pre_hook(lambda *_: (_ for _ in ()).throw(RuntimeError("late")))
        with pytest.raises(RuntimeError, match="late"):
            call(900.0)
        handle.remove()
        assert same(run(6), clean)


def test_a_run_with_other_shapes_starts_clean(transformer, run, call, clean):
    with cachekit.attach(transformer, Pattern("X..X.."), steps=6):
        call(1000.0, tokens=9)
        call(800.0, tokens=9)
        assert same(run(6), clean)


def test_another_step_count_after_reset(transformer, run):
    with cachekit.attach(transformer, EveryOther(n=3), steps=6) as session:
        run(6)
        session.reset(steps=4)
        run(4)
        assert [trace.pattern for trace in session.traces] == ["X..X..", "X..X"]


def test_reset_refuses_steps_that_the_plan_does_not_know(transformer):
    with (
        cachekit.attach(transformer, Pattern("X..X.."), steps=6) as session,
        pytest.raises(cachekit.CachekitError, match="must be 5 characters"),
    ):
        session.reset(steps=5)


def test_reset_refuses_a_timestep_count_that_is_not_the_step_count(transformer):
    with (
        cachekit.attach(transformer, EveryOther(), steps=3) as session,
        pytest.raises(cachekit.CachekitError, match="2 timesteps were given for 3 steps"),
    ):
        session.reset(timesteps=(1000.0, 500.0))


def test_state_that_a_strategy_keeps_is_its_branch_and_run_s_own(transformer, run):
    strategy = CountsCalls()
    with cachekit.attach(transformer, strategy, steps=4, calls_per_step=2) as session:
        run(4, calls_per_step=2)
        run(4, calls_per_step=2)
    assert [branch.pattern for trace in session.traces for branch in trace.branches] == ["XX.."] * 4
    assert strategy._seen == 0


def test_branches_keep_their_own_residuals(transformer, run):
    with cachekit.attach(transformer, Pattern("X.X."), steps=4, calls_per_step=2) as session:
        guided = run(4, calls_per_step=2)
        assert session.traces[0].pattern == "X.X."
        assert len(session.traces[0].branches) == 2
    with cachekit.attach(transformer, Pattern("X.X."), steps=4):
        alone = run(4)
    assert same(guided[0::2], alone)


def test_should_compute_is_asked_at_every_step_and_the_first_is_computed_whatever_it_answers(transformer, run):
    asked = []

    class Asked(Never):
        def should_compute(self, step):
            asked.append(step.index)
            return False

    with cachekit.attach(transformer, Asked(), steps=4) as session:
        run(4)
    assert asked == [0, 1, 2, 3]
    assert session.traces[0].pattern == "X..."


def test_a_plan_that_would_skip_the_first_step_computes_it(transformer, run):
    with cachekit.attach(transformer, Pattern(".X.."), steps=4) as session:
        run(4)
    assert session.traces[0].pattern == "XX.."


def test_a_step_whose_shapes_changed_is_computed(transformer, call):
    with cachekit.attach(transformer, Never(), steps=5) as session:
        call(1000.0, batch=2)
        call(800.0, batch=2)
        call(600.0, batch=1)
        call(400.0, batch=1)
        assert session.trace.pattern == "X.X."


def test_step_knows_index_total_branch_timestep_hidden_and_probe(transformer, run):
    seen = []

    class Looks(EveryOther):
        def should_compute(self, step):
            seen.append((step.index, step.total, step.branch, step.timestep, tuple(step.hidden.shape)))
            assert step.probe("modulated_input").shape == step.hidden.shape
            return True

    with cachekit.attach(transformer, Looks(), steps=2, calls_per_step=2):
        run(2, calls_per_step=2)
    shape = (1, 6, 16)
    assert seen == [
        (0, 2, 0, 1000.0, shape),
        (0, 2, 1, 1000.0, shape),
        (1, 2, 0, 500.0, shape),
        (1, 2, 1, 500.0, shape),
    ]


def test_trace_counts(transformer, run, call):
    with cachekit.attach(transformer, Pattern("X..X.."), steps=6) as session:
        assert session.trace.pattern == ""
        call(1000.0)
        call(800.0)
        assert session.trace.pattern == "X."
        run(6)
    assert (session.trace.computed, session.trace.skipped, session.trace.ideal_speedup) == (2, 4, 3.0)


def test_nothing_is_held_after_a_run_nor_after_the_last_skip(transformer, run, call):
    one = 6 * 16 * 4
    with cachekit.attach(transformer, Pattern("X.XX"), steps=4) as session:
        call(1000.0)
        assert session.held_bytes == one
        call(750.0)
        assert session.held_bytes == 0
        call(500.0)
        call(250.0)
        assert session.held_bytes == 0
    with cachekit.attach(transformer, "none", steps=4) as session:
        call(1000.0)
        assert session.held_bytes == 0


def test_taylor_of_order_1_holds_two_residuals_and_reuse_one_a_branch(transformer, call):
    one = 6 * 16 * 4
    for predictor, residuals in (("reuse", 1), ("taylor", 2), ("taylor:order=2", 3)):
        with cachekit.attach(transformer, EveryOther(n=1), steps=9, calls_per_step=2, predictor=predictor) as session:
            for index in range(8):
                call(1000.0 - index // 2)
            assert session.held_bytes == residuals * one * 2


def test_a_planned_strategy_reads_no_tensor(transformer, run, scalar_reads):
    with cachekit.attach(transformer, Pattern("X..X.."), steps=6, predictor="taylor"), scalar_reads as reads:
        run(6)
    assert reads.seen == []


def test_a_transformer_called_without_its_hooks_still_counts_steps(transformer):
    x, y = torch.randn(1, 6, 4), torch.randn(1, 3, 16)
    with cachekit.attach(transformer, Pattern("X.X."), steps=4) as session:
        for _ in range(4):
            transformer.forward(x, torch.tensor([500.0]), y)
    assert session.traces[0].pattern == "X.X."


def test_a_block_that_writes_into_its_input_is_found_out(transformer, call):
    block = transformer.spatial_blocks[0]
    block.forward = lambda x, y, t, *rest: x.add_(1.0)
    with (
        cachekit.attach(transformer, Pattern("X.X."), steps=4),
        pytest.raises(cachekit.CachekitError, match="clone_hidden"),
    ):
        call()


@attrs.define
class Particular(cachekit.Strategy):
    """Plans runs of 6 steps and fits predictors for those of up to 7; branch 1 has another slope."""

    def plan(self, run):
        if run.steps > 7:
            raise cachekit.CachekitError("too long")
        return "XX.X.."[: run.steps] + "." * (run.steps - 6)

    def fit_predictor(self, run):
        if run.steps == 7:
            raise cachekit.CachekitError("no fit")
        return Damped(slope=0.25 + 0.5 * run.branch)


@pytest.mark.parametrize(
    "asked", [{"steps": 8}, {"steps": 7}, {"steps": 5, "timesteps": (1.0, 0.5)}, {"timesteps": (1.0,)}, {"steps": 0}]
)
def test_a_refused_reset_leaves_the_session_as_it_was(transformer, run, asked):
    timesteps = (1000.0, 900.0, 800.0, 700.0, 600.0, 500.0)
    with cachekit.attach(transformer, Particular(), steps=6) as session:
        session.reset(timesteps=timesteps)
        before = run(6)
        with pytest.raises(cachekit.CachekitError):
            session.reset(**asked)
        assert (session.steps, session.timesteps) == (6, timesteps)
        assert same(run(6), before)
    assert [trace.pattern for trace in session.traces] == ["XX.X..", "XX.X.."]


def test_each_branch_goes_with_the_predictor_fitted_to_it(transformer, run):
    with cachekit.attach(transformer, Particular(), steps=6, calls_per_step=2):
        both = run(6, calls_per_step=2)
    for branch, slope in enumerate((0.25, 0.75)):
        pattern = Pattern("XX.X..")
        with cachekit.attach(transformer, pattern, steps=6, calls_per_step=2, predictor=Damped(slope=slope)):
            assert same(run(6, calls_per_step=2)[branch::2], both[branch::2])


@pytest.mark.parametrize("answer", [None, "damped", Damped])
def test_what_is_fitted_must_be_a_predictor(transformer, answer):
    class Wrong(Particular):
        def fit_predictor(self, run):
            return answer

    with pytest.raises(cachekit.CachekitError, match="fit_predictor of Wrong must return a Predictor, not"):
        cachekit.attach(transformer, Wrong(), steps=6)


@pytest.mark.parametrize("predictor", [Reuse(), Taylor(order=1), Taylor(order=2)])
@pytest.mark.parametrize("plan", ["XXXX.X.X..X", "XX.XX..XXX", "X....", "XXXXX", "XX..X.XXX."])
def test_a_residual_is_wanted_where_a_skipped_step_looks_back_to_it(plan, predictor):
    branch = Branch(Pattern(plan), predictor, plan)
    looked_at = set()
    for step in range(len(plan)):
        if plan[step] == ".":
            looked_at |= set([before for before in range(step) if plan[before] == "X"][-predictor.history :])
    computed = [step for step in range(len(plan)) if plan[step] == "X"]
    assert {step for step in computed if branch.needs_residual(step, len(plan))} == looked_at
