"""Models that are changed, cast or attached anew while a session is at work, and timesteps of every kind."""

import copy

import pytest
import torch
from loops import Drift, EveryThird, Loop, Pipeline, falling
from stand_ins import Block, OpenSoraLike
from strategies_for_tests import Pattern
from torch import nn

import cachekit

LOOP = Loop(falling(9), seed=5)


def replaced(model, place):
    torch.manual_seed(1)
    model.spatial_blocks[place] = Block()


def removed(model):
    del model.spatial_blocks[-1], model.temporal_blocks[-1]


def appended(model):
    torch.manual_seed(1)
    model.spatial_blocks.append(Block())
    model.temporal_blocks.append(Block())


def another_order(model):
    model.spatial_blocks, model.temporal_blocks = model.temporal_blocks, model.spatial_blocks


CHANGES = {
    "the first replaced": lambda model: replaced(model, 0),
    "one in the middle replaced": lambda model: replaced(model, 1),
    "the last replaced": lambda model: model.temporal_blocks.__setitem__(1, Block()),
    "the last removed": removed,
    "two appended": appended,
    "another order": another_order,
}


@pytest.mark.parametrize("strategy", [EveryThird, Drift])
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_blocks_changed_between_runs_are_refused_and_attached_anew(transformer, change, strategy):
    session = cachekit.attach(transformer, strategy(), steps=9)
    LOOP(transformer)
    change(transformer)
    with pytest.raises(cachekit.CachekitError, match="were changed after the session was attached: 4 then"):
        LOOP(transformer)
    session.detach()
    with cachekit.attach(transformer, strategy(), steps=9) as session:
        found = LOOP(transformer)
        pattern = session.trace.pattern
    other = copy.deepcopy(transformer)
    with cachekit.attach(other, strategy(), steps=9) as fresh:
        assert torch.equal(LOOP(other), found)
    assert fresh.trace.pattern == pattern


@pytest.mark.parametrize("after", [1, 2, 3])
def test_the_last_block_replaced_within_a_run_is_told(transformer, after):
    with cachekit.attach(transformer, EveryThird(), steps=9):
        for timestep in falling(9)[:after]:
            Loop([timestep])(transformer)
        transformer.temporal_blocks[1] = Block()
        with pytest.raises(cachekit.CachekitError, match="were changed after the session was attached"):
            Loop([falling(9)[after]])(transformer)


class Wrapped(nn.Module):
    """A block within another module, as sharding and checkpointing put it."""

    def __init__(self, block):
        super().__init__()
        self.block = block

    def forward(self, *args, **kwargs):
        return self.block(*args, **kwargs)


@pytest.mark.parametrize("strategy", [EveryThird, Drift])
def test_blocks_wrapped_after_attaching_are_skipped_as_before(transformer, strategy):
    with cachekit.attach(transformer, strategy(), steps=9) as session:
        wanted = LOOP(transformer)
        for blocks in (transformer.spatial_blocks, transformer.temporal_blocks):
            for place, block in enumerate(blocks):
                blocks[place] = Wrapped(block)
        assert torch.equal(LOOP(transformer), wanted)
        assert session.traces[0].pattern == session.traces[1].pattern


def test_a_model_that_shares_blocks_with_an_attached_one_is_refused(transformer):
    other = OpenSoraLike()
    other.spatial_blocks = transformer.spatial_blocks
    with (
        cachekit.attach(transformer, EveryThird(), steps=9),
        pytest.raises(cachekit.CachekitError, match="shares blocks with another model that has a session"),
    ):
        cachekit.attach(other, EveryThird(), steps=9)


def test_detached_within_a_run_the_rest_of_it_is_bare_and_attached_again_it_begins_anew(transformer):
    session = cachekit.attach(transformer, EveryThird(), steps=9)
    Loop(falling(9), stop_after=5)(transformer)
    session.detach()
    before = transformer.block_calls()
    Loop(falling(9)[5:])(transformer)
    assert transformer.block_calls() - before == 4 * 4
    with cachekit.attach(transformer, EveryThird(), steps=9) as again:
        found = LOOP(transformer)
        assert again.traces[0].pattern == "X..X..X.."
    other = copy.deepcopy(transformer)
    with cachekit.attach(other, EveryThird(), steps=9):
        assert torch.equal(LOOP(other), found)


def test_attached_within_a_run_the_first_step_seen_is_computed(transformer):
    Loop(falling(9), stop_after=4)(transformer)
    with cachekit.attach(transformer, EveryThird(), steps=9) as session:
        Loop(falling(9)[4:])(transformer)
        assert session.trace.pattern == "X..X."


def test_a_session_that_ended_has_no_hold_on_the_one_after_it(transformer):
    first = cachekit.attach(transformer, EveryThird(), steps=9)
    first.detach()
    with first, cachekit.attach(transformer, EveryThird(), steps=9) as second:
        first.detach()
        first.reset()
        with first.paused():
            LOOP(transformer)
        first.__exit__(None, None, None)
        LOOP(transformer)
        assert [trace.pattern for trace in second.traces] == ["X..X..X.."] * 2
    assert first.traces == []


@pytest.mark.parametrize("given", [lambda model: model, lambda model: torch.compile(model, backend="eager")])
def test_a_second_session_is_refused_however_the_model_is_given(transformer, given):
    with cachekit.attach(transformer, EveryThird(), steps=9) as session:
        with pytest.raises(cachekit.CachekitError, match="has a session already"):
            cachekit.attach(given(transformer), EveryThird(), steps=9)
        LOOP(transformer)
        assert session.trace.pattern == "X..X..X.."


def test_a_refused_attachment_leaves_nothing_and_the_next_one_works(transformer):
    with pytest.raises(cachekit.CachekitError):
        cachekit.attach(transformer, Pattern("X"), steps=9)
    with cachekit.attach(transformer, EveryThird(), steps=9) as session:
        LOOP(transformer)
        assert session.trace.pattern == "X..X..X.."


class InItsType(OpenSoraLike):
    """Runs in the type of its weights, as a pipeline's transformer in half precision does."""

    def forward(self, x, timestep, y, **kwargs):
        dtype = self.embed.weight.dtype
        return super().forward(x.to(dtype), timestep.to(dtype), y.to(dtype), **kwargs).float()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("strategy", [EveryThird(), Drift(), Pattern("X........"), Pattern("XXXXXXXXX")])
def test_half_precision(dtype, strategy):
    torch.manual_seed(0)
    model = InItsType().to(dtype)
    bare = LOOP(model)
    with cachekit.attach(model, strategy, steps=9) as session:
        found = LOOP(model)
        assert torch.equal(LOOP(model), found)
        pattern = session.trace.pattern
    if "." in pattern:
        assert not torch.equal(found, bare)
        assert (found - bare).norm() / bare.norm() < 0.5
    else:
        assert torch.equal(found, bare)


@pytest.mark.parametrize("strategy", [EveryThird(), Drift()])
def test_a_model_cast_between_runs_and_within_one(strategy):
    torch.manual_seed(0)
    model = InItsType()
    half = copy.deepcopy(model).to(torch.bfloat16)
    with cachekit.attach(half, strategy, steps=9):
        wanted = LOOP(half)
    with cachekit.attach(model, strategy, steps=9) as session:
        Loop(falling(9), stop_after=4)(model)
        model.to(torch.bfloat16)
        for timestep in falling(9)[4:]:
            Loop([timestep])(model)
        assert session.trace.pattern[4] == "X"
        assert torch.equal(LOOP(model), wanted)


def test_under_autocast_a_skipped_step_has_the_type_of_a_computed_one(transformer):
    seen = []
    handle = transformer.final.register_forward_pre_hook(lambda module, args: seen.append(args[0].dtype))
    with torch.autocast("cpu", dtype=torch.bfloat16), cachekit.attach(transformer, EveryThird(), steps=9) as session:
        LOOP(transformer)
        assert session.trace.pattern == "X..X..X.."
    handle.remove()
    assert len(set(seen)) == 1


class AnyTimestep(OpenSoraLike):
    """Takes a timestep as a number, or as a tensor of one or of one an entry of the batch."""

    def prepare(self, x, timestep):
        timestep = torch.as_tensor(timestep).to(x.dtype).reshape(-1).expand(len(x))
        return super().prepare(x, timestep)


KINDS = {
    "int": int,
    "float": float,
    "0-d float32": lambda t: torch.tensor(t),
    "0-d float64": lambda t: torch.tensor(t, dtype=torch.float64),
    "0-d int64": lambda t: torch.tensor(int(t)),
    "0-d int32": lambda t: torch.tensor(int(t), dtype=torch.int32),
    "0-d bfloat16": lambda t: torch.tensor(t, dtype=torch.bfloat16),
    "0-d float16": lambda t: torch.tensor(t, dtype=torch.float16),
    "[1]": lambda t: torch.tensor([t]),
    "[B]": lambda t: torch.full((2,), t),
    "[B] int64": lambda t: torch.full((2,), int(t)),
    "[B] expanded": lambda t: torch.tensor(t).expand(2),
    "[B] bfloat16": lambda t: torch.full((2,), t, dtype=torch.bfloat16),
    "requires grad": lambda t: torch.tensor(t, requires_grad=True),
}


@pytest.mark.parametrize("way", ["falling", "rising"])
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
def test_timesteps_of_every_kind(kind, way):
    torch.manual_seed(0)
    model = AnyTimestep()
    timesteps = [960.0 - 96 * index for index in range(10)]
    if way == "rising":
        timesteps.reverse()

    def generate(seed):
        latents = torch.randn(2, 6, 4, generator=torch.Generator().manual_seed(seed))
        for timestep in timesteps:
            latents = latents - 0.05 * model(latents, kind(timestep), torch.full((2, 3, 16), 0.3))

    with cachekit.attach(model, EveryThird(), steps=10) as session:
        session.reset(timesteps=timesteps)
        for seed in range(3):
            generate(seed)
        assert [trace.pattern for trace in session.traces] == ["X..X..X..X"] * 3
        assert all(len(trace.branches) == 1 for trace in session.traces)


def test_a_branch_is_known_by_its_caption_when_guidance_ends(transformer):
    with cachekit.attach(transformer, EveryThird(), steps=10) as session:
        Pipeline(("10",) * 5 + ("0",) * 5)(transformer)
    assert [branch.pattern for branch in session.trace.branches] == ["X..X.", "X..X..X..X"]


def test_another_caption_at_the_next_timestep_is_computed_and_told(transformer):
    with (
        pytest.warns(cachekit.CachekitWarning, match="given other conditions, such as another caption"),
        cachekit.attach(transformer, EveryThird(), steps=10) as session,
    ):
        Pipeline("0", stop_after=4)(transformer)
        Pipeline("2", first=4)(transformer)
    assert [branch.pattern for branch in session.trace.branches] == ["X..X", "____X.X..X"]
