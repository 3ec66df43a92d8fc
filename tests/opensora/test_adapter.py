"""One adapter for the three classes of Open-Sora 1.2's transformer, by structure."""

import torch
from stand_ins import HIDDEN, OpenSoraLike, Strange
from strategies_for_tests import Pattern

import cachekit
from cachekit.opensora.adapter import OpenSoraAdapter


def inputs():
    torch.manual_seed(1)
    return torch.randn(2, 6, 4), torch.full((2,), 700.0), torch.randn(2, 3, HIDDEN)


def test_fits_by_structure(transformer, videosys, stdit3):
    assert OpenSoraAdapter.fits(transformer)
    assert OpenSoraAdapter.fits(videosys)
    assert OpenSoraAdapter.fits(stdit3)
    assert not OpenSoraAdapter.fits(Strange())
    assert not OpenSoraAdapter.fits(torch.nn.Linear(2, 2))


def test_blocks_run_spatial_and_temporal_in_turn(transformer):
    blocks = OpenSoraAdapter().blocks(transformer)
    expected = [transformer.spatial_blocks[0], transformer.temporal_blocks[0], transformer.spatial_blocks[1]]
    assert list(blocks[:3]) == expected


def test_blocks_called_through_checkpoint_are_intercepted(transformer):
    x, t, y = inputs()
    bare = transformer(x, t, y)
    calls = transformer.block_calls()
    with cachekit.attach(transformer, Pattern("X."), steps=2):
        assert torch.equal(transformer(x, t, y), bare)
        torch.testing.assert_close(transformer(x, t, y), bare)
    assert transformer.block_calls() == calls + 4


def test_videosys_call_shape(videosys):
    x, t, y = inputs()
    all_timesteps = [700.0, 300.0]
    bare = videosys(x, t, all_timesteps, y)
    with cachekit.attach(videosys, Pattern("X."), steps=2) as session:
        assert torch.equal(videosys(x, t, all_timesteps, y), bare)
        torch.testing.assert_close(videosys(x, t, all_timesteps, y=y), bare)
    assert session.trace.pattern == "X."


def test_the_timestep_is_read_from_the_call_whatever_stands_beside_it(videosys):
    seen = []

    class Looks(Pattern):
        def plan(self, run):
            return None

        def should_compute(self, step):
            seen.append(step.timestep)
            return True

    x, t, y = inputs()
    with cachekit.attach(videosys, Looks(), steps=2):
        videosys(x, t, [700.0, 300.0], y)
        videosys(x, timestep=t - 400, all_timesteps=None, y=y)
    assert seen == [700.0, 300.0]


def test_modulated_input_is_what_the_first_attention_sees(transformer):
    probes, attention_inputs = [], []

    class Looks(Pattern):
        probes = ("modulated_input",)

        def plan(self, run):
            return None

        def should_compute(self, step):
            probes.append(step.probe("modulated_input"))
            return True

    transformer.spatial_blocks[0].linear.register_forward_pre_hook(lambda m, args: attention_inputs.append(args[0]))
    with cachekit.attach(transformer, Looks(), steps=1):
        transformer(*inputs())
    assert torch.equal(probes[0], attention_inputs[0])


def test_all_three_classes_share_one_architecture_digest(transformer, videosys):
    adapter = OpenSoraAdapter()
    assert adapter.architecture(transformer) == adapter.architecture(videosys) == {"hidden_size": HIDDEN, "depth": 2}
    assert OpenSoraLike(depth=3).spatial_blocks[0].scale_shift_table.shape[-1] == HIDDEN
