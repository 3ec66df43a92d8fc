"""Where the answer is given: at the span's last block, so that nothing between the blocks is added twice."""

import attrs
import pytest
import torch
from stand_ins import OpenSoraLike

import cachekit


class Controlled(OpenSoraLike):
    """Adds a control after each spatial block, as ControlNet and VACE do."""

    def forward(self, x, timestep, y, **kwargs):
        hidden, t = self.prepare(x, timestep)
        for number, (spatial, temporal) in enumerate(zip(self.spatial_blocks, self.temporal_blocks, strict=True)):
            hidden = spatial(hidden, y, t)
            hidden = hidden + 0.7 * (number + 1)
            hidden = temporal(hidden, y, t)
        return self.final(hidden)


class ByKeyword(OpenSoraLike):
    """Calls its blocks by keyword alone."""

    def forward(self, x, timestep, y, **kwargs):
        hidden, t = self.prepare(x, timestep)
        for spatial, temporal in zip(self.spatial_blocks, self.temporal_blocks, strict=True):
            hidden = spatial(x=hidden, y=y, t=t)
            hidden = temporal(t=t, y=y, x=hidden)
        return self.final(hidden)


class LeavesOut(OpenSoraLike):
    """Leaves out the blocks named, as skip-layer guidance does."""

    def forward(self, x, timestep, y, without=(), **kwargs):
        hidden, t = self.prepare(x, timestep)
        blocks = [b for pair in zip(self.spatial_blocks, self.temporal_blocks, strict=True) for b in pair]
        for number, block in enumerate(blocks):
            if number not in without:
                hidden = block(hidden, y, t)
        return self.final(hidden)


class Halves(OpenSoraLike):
    """Blocks that return bfloat16 whatever they are given."""

    def forward(self, x, timestep, y, **kwargs):
        hidden, t = self.prepare(x, timestep)
        for spatial, temporal in zip(self.spatial_blocks, self.temporal_blocks, strict=True):
            hidden = temporal(spatial(hidden, y, t), y, t)
        assert hidden.dtype == torch.bfloat16
        return self.final(hidden.float())


class Half(torch.nn.Module):
    def __init__(self, block):
        super().__init__()
        self.block, self.scale_shift_table, self.norm1 = block, block.scale_shift_table, block.norm1

    def forward(self, x, y, t):
        return self.block(x.float(), y, t).bfloat16()


@attrs.define
class Planned(cachekit.Strategy):
    pattern: str = "X."

    def plan(self, run):
        return self.pattern


@attrs.define
class Asked(cachekit.Strategy):
    pattern: str = "X."

    def should_compute(self, step):
        return self.pattern[step.index] == "X"


def made(kind):
    torch.manual_seed(0)
    return kind()


def inputs(timestep=700.0):
    generator = torch.Generator().manual_seed(3)
    return (
        torch.randn(2, 6, 4, generator=generator),
        torch.full((2,), timestep),
        torch.randn(2, 3, 16, generator=generator),
    )


BOTH = pytest.mark.parametrize("strategy", [Planned, Asked])


@BOTH
@pytest.mark.parametrize("kind", [OpenSoraLike, Controlled, ByKeyword])
def test_a_skipped_step_of_the_same_input_is_the_computed_one(kind, strategy):
    model = made(kind)
    with cachekit.attach(model, strategy(), steps=2) as session:
        computed = model(*inputs())
        skipped = model(*inputs())
    assert session.trace.pattern == "X." or session.trace.branches[1:]
    torch.testing.assert_close(skipped, computed, rtol=0, atol=1e-6)
    assert torch.equal(computed, model(*inputs()))


@BOTH
def test_blocks_that_return_another_type_are_answered_in_it(strategy):
    model = made(Halves)
    for blocks in (model.spatial_blocks, model.temporal_blocks):
        for number, block in enumerate(blocks):
            blocks[number] = Half(block)
    with cachekit.attach(model, strategy(), steps=2):
        computed = model(*inputs(700.0))
        skipped = model(*inputs(600.0)) - model.final(model.prepare(*inputs(600.0)[:2])[0])
    reference = computed - model.final(model.prepare(*inputs(700.0)[:2])[0])
    torch.testing.assert_close(skipped, reference, rtol=0.05, atol=0.05)


@BOTH
@pytest.mark.parametrize("without", [(0,), (1,), (2,), (0, 1)])
def test_blocks_left_out_on_some_calls_are_answered_for_by_the_others(strategy, without):
    model = made(LeavesOut)
    with cachekit.attach(model, strategy(pattern="X.X."), steps=4, calls_per_step=2) as session:
        for timestep in (900.0, 800.0, 700.0, 600.0):
            whole, partial = model(*inputs(timestep)), model(*inputs(timestep), without=without)
            if timestep == 900.0:
                assert torch.equal(partial, bare(session, model, timestep, without))
    assert [branch.pattern for branch in session.trace.branches] == ["X.X.", "X.X."]
    assert whole.shape == partial.shape


def bare(session, model, timestep, without):
    with session.paused():
        return model(*inputs(timestep), without=without)


@BOTH
def test_calls_that_leave_out_the_last_block_are_computed_and_warned_of(strategy):
    model = made(LeavesOut)
    with (
        pytest.warns(cachekit.CachekitWarning, match="leaves out block 3 on some calls"),
        cachekit.attach(model, strategy(pattern="X.X."), steps=4, calls_per_step=2) as session,
    ):
        for timestep in (900.0, 800.0, 700.0, 600.0):
            model(*inputs(timestep))
            partial = model(*inputs(timestep), without=(3,))
            assert torch.equal(partial, bare(session, model, timestep, (3,)))
    assert [branch.pattern for branch in session.trace.branches] == ["X.X.", "XXXX"]


@BOTH
def test_the_last_block_left_out_on_a_skipped_step_is_refused(strategy):
    model = made(LeavesOut)
    with (
        cachekit.attach(model, strategy(), steps=2),
        pytest.raises(cachekit.CachekitError, match="left out block 3 on a skipped step"),
    ):
        model(*inputs(900.0))
        model(*inputs(800.0), without=(3,))


def test_blocks_that_run_twice_in_one_call_are_refused():
    class Twice(OpenSoraLike):
        def forward(self, x, timestep, y, **kwargs):
            return super().forward(super().forward(x, timestep, y), timestep, y)

    model = made(Twice)
    with (
        cachekit.attach(model, Planned(), steps=2),
        pytest.raises(cachekit.CachekitError, match="ran 2 times in one call"),
    ):
        model(*inputs())
