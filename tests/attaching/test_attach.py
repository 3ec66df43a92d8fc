"""What `attach` accepts, refuses, and leaves behind."""

import pytest
import torch
from stand_ins import OpenSoraLike, Strange
from strategies_for_tests import EveryOther, Pattern

import cachekit


def test_skipped_step_runs_no_block(transformer, call):
    with cachekit.attach(transformer, Pattern("X.X"), steps=3):
        call(1000.0)
        before = transformer.block_calls()
        call(600.0)
        assert transformer.block_calls() == before
        call(300.0)
        assert transformer.block_calls() == before + 4


def test_skipped_step_adds_the_last_residual_to_its_own_input(transformer, call):
    bodies = []
    transformer.final.register_forward_pre_hook(lambda module, args: bodies.append(args[0]))
    inputs = []
    transformer.embed.register_forward_hook(lambda module, args, output: inputs.append(output))
    with cachekit.attach(transformer, Pattern("X."), steps=2):
        call(1000.0, seed=1)
        call(500.0, seed=2)
    assert torch.equal(bodies[1], inputs[1] + (bodies[0] - inputs[0]))


@pytest.mark.parametrize("strategy", ["none", EveryOther(n=1), Pattern("XXXXX")])
def test_all_steps_computed_is_the_bare_model_bit_for_bit(transformer, run, strategy):
    bare = run(5)
    with cachekit.attach(transformer, strategy, steps=5) as session:
        attached = run(5)
    assert session.trace.pattern == "XXXXX"
    assert all(torch.equal(a, b) for a, b in zip(bare, attached, strict=True))


def test_detach_puts_every_module_back(transformer, call):
    before = {name: dict(module.__dict__) for name, module in transformer.named_modules()}
    hooks = {name: (len(m._forward_pre_hooks), len(m._forward_hooks)) for name, m in transformer.named_modules()}
    session = cachekit.attach(transformer, EveryOther(), steps=4)
    call()
    session.detach()
    session.detach()
    for name, module in transformer.named_modules():
        assert set(module.__dict__) == set(before[name])
        assert "forward" not in module.__dict__
        assert (len(module._forward_pre_hooks), len(module._forward_hooks)) == hooks[name]
    assert type(transformer).forward is OpenSoraLike.forward


def test_detach_restores_a_forward_that_the_instance_had_of_its_own(transformer, call):
    block = transformer.spatial_blocks[0]
    own = block.forward
    block.forward = own
    expected = call()
    with cachekit.attach(transformer, EveryOther(), steps=4):
        assert torch.equal(call(), expected)
    assert block.__dict__["forward"] is own


def test_with_detaches_after_an_exception(transformer, call):
    with pytest.raises(RuntimeError, match="outside"), cachekit.attach(transformer, EveryOther(), steps=4):
        call()
        raise RuntimeError("outside")
    assert "forward" not in transformer.spatial_blocks[0].__dict__


def test_two_models_know_nothing_of_each_other(transformer, call, run):
    other = OpenSoraLike()
    first = cachekit.attach(transformer, Pattern("X.X."), steps=4)
    second = cachekit.attach(other, Pattern("XXXX"), steps=4)
    run(4)
    assert first.trace.pattern == "X.X."
    assert second.trace.pattern == ""
    first.detach()
    second.detach()


def test_a_second_session_on_one_model_is_refused(transformer):
    with (
        cachekit.attach(transformer, EveryOther(), steps=4),
        pytest.raises(cachekit.CachekitError, match="has a session already"),
    ):
        cachekit.attach(transformer, EveryOther(), steps=4)
    cachekit.attach(transformer, EveryOther(), steps=4).detach()


@pytest.mark.parametrize(
    ("strategy", "options", "sentence"),
    [
        ("magcash", {}, r"no strategy named 'magcash'; did you mean 'magcache'"),
        ("magcache", {"tresh": 0.1}, r"no parameter of magcache named 'tresh'; did you mean 'thresh'"),
        ("magcache", {"thresh": "much"}, r"magcache's thresh must be float, not 'much'"),
        ("magcache", {}, r"magcache needs ratios.*cachekit calibrate magcache"),
        ("none", {"predictor": "tailor"}, r"no predictor named 'tailor'; did you mean 'taylor'"),
        ("none", {"predictor": "taylor:order=-1"}, r"order"),
        ("none", {"adapter": "wan"}, r"no adapter named 'wan'; there are .*opensora"),
        ("none", {"steps": 0}, r"steps must be a whole number of at least 1, not 0"),
        ("none", {"calls_per_step": 0}, r"calls_per_step must be a whole number of at least 1"),
        (EveryOther(), {"n": 3}, r"a Strategy object has its own"),
        (Pattern("X."), {}, r"the plan of Pattern must be 4 characters of 'X' and '\.'"),
        (Pattern("XYX."), {}, r"the plan of Pattern must be 4 characters"),
    ],
)
def test_what_cannot_work_is_refused_in_a_sentence(transformer, strategy, options, sentence):
    with pytest.raises(cachekit.CachekitError, match=sentence):
        cachekit.attach(transformer, strategy, **{"steps": 4, **options})
    assert "forward" not in transformer.spatial_blocks[0].__dict__


def test_a_model_of_no_known_structure_is_refused_with_the_adapters_there_are():
    with pytest.raises(cachekit.CachekitError, match=r"no adapter fits a Strange; there are diffusers, opensora"):
        cachekit.attach(Strange(), "none", steps=4)


def test_a_strategy_that_asks_for_a_probe_the_adapter_lacks_is_refused(transformer):
    class Needy(EveryOther):
        probes = ("attention_map",)

    with pytest.raises(cachekit.CachekitError, match="asks for the probe 'attention_map'"):
        cachekit.attach(transformer, Needy(), steps=4)


def test_predictor_by_name_with_fields_or_as_object(transformer, run):
    from cachekit_predictors import Taylor

    with cachekit.attach(transformer, Pattern("XX.X"), steps=4, predictor="taylor:order=1"):
        by_name = run(4)
    with cachekit.attach(transformer, Pattern("XX.X"), steps=4, predictor=Taylor(order=1)):
        by_object = run(4)
    with cachekit.attach(transformer, Pattern("XX.X"), steps=4):
        reused = run(4)
    assert all(torch.equal(a, b) for a, b in zip(by_name, by_object, strict=True))
    assert not torch.equal(by_name[2], reused[2])


def compile_blocks_in_place(transformer):
    for block in (*transformer.spatial_blocks, *transformer.temporal_blocks):
        block.compile(backend="eager")
    return transformer


def compile_blocks_as_modules(transformer):
    for blocks in (transformer.spatial_blocks, transformer.temporal_blocks):
        for index, block in enumerate(blocks):
            blocks[index] = torch.compile(block, backend="eager")
    return transformer


def compile_whole(transformer):
    return torch.compile(transformer, backend="eager")


@pytest.mark.parametrize("compiled", [compile_blocks_in_place, compile_blocks_as_modules, compile_whole])
def test_compiled_blocks_are_skipped_and_put_back_too(transformer, compiled):
    inputs = torch.randn(1, 6, 4), torch.tensor([500.0]), torch.randn(1, 3, 16)
    model = compiled(transformer)
    bare = model(*inputs)
    with cachekit.attach(model, Pattern("X.X"), steps=3) as session:
        assert torch.equal(model(*inputs), bare)
        blocks = transformer.block_calls()
        model(*inputs)
        assert transformer.block_calls() == blocks
        assert torch.equal(model(*inputs), bare)
    assert session.trace.pattern == "X.X"
    assert torch.equal(model(*inputs), bare)
