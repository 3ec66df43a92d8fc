"""Strategies attach to transformers that call their blocks as the public packages do, unmodified."""

import pytest
import torch

import cachekit
from cachekit import CachekitError
from cachekit.opensora.adapter import OpenSoraAdapter
from cachekit.opensora.mmdit_adapter import MMDiTAdapter

from .public_shapes import WIDTH, CheckpointedTransformer, DoubleThenSingle, SpaceTimeTransformer

STEPS = 6


class Pattern(cachekit.Strategy):
    """What the test says."""

    def __init__(self, pattern):
        self.pattern = pattern

    def plan(self, run):
        return self.pattern


class Probing(cachekit.Strategy):
    probes = ("modulated_input",)

    def __init__(self):
        self.seen = []

    def should_compute(self, step):
        self.seen.append(step.probe("modulated_input"))
        return True

    def __deepcopy__(self, memo):
        return self


class Case:
    """A transformer, its adapter, and a run of it over `STEPS` steps."""

    def __init__(self, transformer, adapter, linear_layers):
        self.transformer, self.adapter = transformer.eval(), adapter
        self.calls = 0
        for layer in linear_layers:
            layer.register_forward_pre_hook(self.count)

    def count(self, *args):
        self.calls += 1

    def run(self):
        self.calls = 0
        generator = torch.Generator().manual_seed(0)
        outputs = []
        for index in range(STEPS):
            timestep = torch.full((2,), 1000.0 - 150 * index)
            outputs.append(self.forward(generator, timestep))
        return torch.stack(outputs)

    def forward(self, generator, timestep):
        if isinstance(self.adapter, MMDiTAdapter):
            image, text = (torch.randn(2, n, c, generator=generator) for n, c in ((6, 4), (3, 5)))
            ids = torch.zeros(2, 6, 3), torch.zeros(2, 3, 3)
            return self.transformer(image, ids[0], text, ids[1], timesteps=timestep / 1000, y_vec=None)
        x, y = torch.randn(2, 3, 4, WIDTH, generator=generator), torch.randn(2, 5, WIDTH, generator=generator)
        extra = {"all_timesteps": [1000, 500]} if isinstance(self.transformer, CheckpointedTransformer) else {}
        return self.transformer(x, timestep, y=y, mask=torch.ones(1, 5), **extra)


def space_time(kind):
    model = kind()
    return Case(model, OpenSoraAdapter(), [b.mlp for b in (*model.spatial_blocks, *model.temporal_blocks)])


def double_single(**options):
    model = DoubleThenSingle(**options)
    layers = [layer for block in model.double_blocks for layer in (block.img_mlp, block.txt_mlp)]
    return Case(model, MMDiTAdapter(), layers + [block.mlp for block in model.single_blocks])


CASES = {
    "open-sora-1.2": lambda: space_time(SpaceTimeTransformer),
    "videosys": lambda: space_time(CheckpointedTransformer),
    "open-sora-2.0": double_single,
    "open-sora-2.0-by-name": lambda: double_single(by_name=True),
}


@pytest.fixture(params=CASES)
def case(request):
    torch.manual_seed(0)
    with torch.no_grad():
        yield CASES[request.param]()


def attach(case, strategy, **options):
    return cachekit.attach(case.transformer, strategy, steps=STEPS, adapter=case.adapter, **options)


def test_the_adapter_fits(case):
    assert type(case.adapter).fits(case.transformer)


def test_with_every_step_computed_the_output_is_bit_for_bit_the_bare_models(case):
    bare = case.run()
    with attach(case, Pattern("X" * STEPS)):
        attached = case.run()
    assert torch.equal(attached, bare)


def test_on_skipped_steps_no_block_runs(case):
    case.run()
    a_step = case.calls // STEPS
    with attach(case, Pattern("X..X..")):
        case.run()
    assert case.calls == 2 * a_step


def test_a_skipped_step_differs_from_a_computed_one_and_no_other_does(case):
    bare = case.run()
    with attach(case, Pattern("X..X..")):
        cached = case.run()
    assert [torch.equal(a, b) for a, b in zip(bare, cached, strict=True)] == [True, False, False] * 2


def test_detached_the_model_is_as_it_was(case):
    bare, entries = case.run(), [set(vars(module)) for module in case.transformer.modules()]
    with attach(case, Pattern("X.X.X."), predictor="taylor"):
        case.run()
    assert [set(vars(module)) for module in case.transformer.modules()] == entries
    assert torch.equal(case.run(), bare)


def test_the_probe_has_the_shape_of_the_first_stream(case):
    strategy = Probing()
    with attach(case, strategy):
        case.run()
    tokens = 6 if isinstance(case.adapter, MMDiTAdapter) else 12
    assert [tuple(probe.shape) for probe in strategy.seen] == [(2, tokens, WIDTH)] * STEPS


@torch.no_grad()
def test_both_streams_of_a_skipped_step_are_input_and_residual():
    torch.manual_seed(0)
    case = double_single()
    model = case.transformer
    inputs, outputs = [], []
    hooks = [
        model.double_blocks[0].register_forward_pre_hook(lambda module, args: inputs.append(args[:2])),
        model.single_blocks[-1].register_forward_hook(lambda module, args, output: outputs.append(output)),
    ]
    case.run()
    for hook in hooks:
        hook.remove()
    with attach(case, Pattern("X" + "." * (STEPS - 1))):
        cached = case.run()
    (image_0, text_0), (image_1, _) = inputs[:2]
    residual = outputs[0][:, text_0.shape[1] :] - image_0
    torch.testing.assert_close(cached[1], model.final_layer(image_1 + residual))


def test_an_adapter_refuses_what_it_was_not_written_for():
    model = double_single().transformer
    assert not OpenSoraAdapter.fits(model)
    assert not MMDiTAdapter.fits(SpaceTimeTransformer())
    del model.pe_embedder
    assert not MMDiTAdapter.fits(model)
    with pytest.raises(CachekitError, match="no probe 'nothing'"):
        MMDiTAdapter().probe("nothing", model, torch.zeros(1), (), {})


def test_the_architecture_tells_sizes_apart():
    architecture = MMDiTAdapter().architecture(DoubleThenSingle(double=2, single=3))
    assert architecture == {"hidden_size": WIDTH, "depth": 2, "depth_single_blocks": 3}
