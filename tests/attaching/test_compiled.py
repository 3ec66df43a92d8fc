"""torch.compile: whole models and single blocks, before and after attaching, counted in dynamo's own numbers."""

import copy

import pytest
import torch

import cachekit
from cachekit.interface.residuals import in_rows
from cachekit.opensora import STDiT3, STDiT3Config

dynamo = pytest.importorskip("torch._dynamo")

PATTERN = "X.X..XX."
STEPS = [1000.0 * (1 - index / len(PATTERN)) for index in range(len(PATTERN))]


@pytest.fixture(autouse=True)
def fresh_dynamo():
    dynamo.reset()
    dynamo.utils.counters.clear()
    yield
    dynamo.reset()


def small_stdit3():
    torch.manual_seed(0)
    config = STDiT3Config(hidden_size=32, depth=2, num_heads=2, caption_channels=16, model_max_length=4, in_channels=4)
    model = STDiT3(config).eval()
    for parameter in model.parameters():
        if parameter.abs().max() == 0:
            torch.nn.init.normal_(parameter, std=0.1)
    return model


def call_stdit3(model, step):
    generator = torch.Generator().manual_seed(step)
    latents = torch.randn(1, 4, 2, 4, 4, generator=generator)
    side = torch.full((1,), 32.0)
    caption = torch.ones(1, 1, 4, 16)
    return model(latents, torch.tensor([STEPS[step]]), caption, fps=side, height=side, width=side)


def small_wan():
    diffusers = pytest.importorskip("diffusers")
    torch.manual_seed(0)
    return diffusers.WanTransformer3DModel(
        patch_size=(1, 2, 2),
        num_attention_heads=2,
        attention_head_dim=12,
        in_channels=4,
        out_channels=4,
        text_dim=16,
        freq_dim=16,
        ffn_dim=32,
        num_layers=3,
        cross_attn_norm=True,
        qk_norm="rms_norm_across_heads",
        rope_max_seq_len=32,
    ).eval()


def call_wan(model, step):
    generator = torch.Generator().manual_seed(step)
    latents = torch.randn(1, 4, 2, 4, 4, generator=generator)
    caption = torch.ones(1, 4, 16)
    return model(latents, torch.tensor([STEPS[step]]), caption, return_dict=False)[0]


class Asked(cachekit.Strategy):
    """Decides at each step, from a number that it reads."""

    def should_compute(self, step):
        return PATTERN[step.index] == "X" or step.relative_change(step.hidden, step.hidden) > 0


class WanBlocks(cachekit.Adapter):
    """Wan's blocks, as the defaults of an adapter have them."""

    @classmethod
    def fits(cls, transformer):
        return hasattr(transformer, "blocks")

    def blocks(self, transformer):
        return list(transformer.blocks)

    def architecture(self, transformer):
        return {"depth": len(transformer.blocks)}


MODELS = {"stdit3": (small_stdit3, call_stdit3, None), "wan": (small_wan, call_wan, WanBlocks())}


def whole(model, **options):
    return torch.compile(model, **options)


def in_place(model, **options):
    model.compile(**options)
    return model


def block_by_block(model, **options):
    for name, module in model.named_children():
        if isinstance(module, torch.nn.ModuleList) and "block" in name:
            for block in module:
                block.compile(**options)
    return model


def run(model, call):
    return [call(model, step) for step in range(len(PATTERN))]


def graphs():
    return dynamo.utils.counters["stats"].get("unique_graphs", 0)


def breaks():
    return sum(dynamo.utils.counters["graph_break"].values())


def attached(model, adapter, strategy=None):
    return cachekit.attach(model, strategy or "fixed", steps=len(PATTERN), adapter=adapter, **planned(strategy))


def planned(strategy):
    return {} if strategy else {"pattern": PATTERN}


@pytest.fixture(params=MODELS)
def model(request):
    make, call, adapter = MODELS[request.param]
    return make(), call, adapter


BACKENDS = ["eager", pytest.param("inductor", marks=pytest.mark.slow)]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("order", ["compiled, then attached", "attached, then compiled"])
@pytest.mark.parametrize("compiled", [whole, in_place])
def test_a_planned_strategy_adds_one_graph_and_no_break(model, compiled, order, backend):
    transformer, call, adapter = model
    with attached(transformer, adapter) as session:
        wanted = run(transformer, call)
        pattern = session.trace.pattern
    if order.startswith("compiled"):
        runs = compiled(transformer, backend=backend, fullgraph=True)
        call(runs, 0)
        bare = graphs()
        session = attached(runs, adapter)
    else:
        session, bare = attached(transformer, adapter), 0
        runs = compiled(transformer, backend=backend, fullgraph=True)
    with session:
        found = run(runs, call)
        assert session.trace.pattern == pattern == PATTERN
        assert graphs() - bare == 2
        run(runs, call)
        assert graphs() - bare == 2
    assert breaks() == 0
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-4)
    before = graphs()
    call(runs, 0)
    assert graphs() - before == (0 if bare else 1)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("order", ["compiled, then attached", "attached, then compiled"])
def test_blocks_compiled_one_by_one_keep_their_graph(model, order, backend):
    transformer, call, adapter = model
    with attached(transformer, adapter):
        wanted = run(transformer, call)
    if order.startswith("compiled"):
        block_by_block(transformer, backend=backend, fullgraph=True)
        call(transformer, 0)
        bare = graphs()
        session = attached(transformer, adapter)
    else:
        session = attached(transformer, adapter)
        block_by_block(transformer, backend=backend, fullgraph=True)
        with session.paused():
            call(transformer, 0)
        bare = graphs()
    with session:
        found = run(transformer, call)
        assert session.trace.pattern == PATTERN
    assert graphs() == bare
    assert breaks() == 0
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-4)


@pytest.mark.parametrize("order", ["compiled, then attached", "attached, then compiled"])
@pytest.mark.parametrize("compiled", [whole, in_place, block_by_block])
def test_a_deciding_strategy_is_right_and_adds_at_most_one_break(model, compiled, order):
    transformer, call, adapter = model
    call(compiled(copy.deepcopy(transformer), backend="eager"), 0)
    own = breaks()
    with attached(transformer, adapter, Asked()) as session:
        wanted = run(transformer, call)
    dynamo.utils.counters.clear()
    if order.startswith("compiled"):
        runs = compiled(transformer, backend="eager")
        call(runs, 0)
        session = attached(runs, adapter, Asked())
    else:
        session = attached(transformer, adapter, Asked())
        runs = compiled(transformer, backend="eager")
    with session:
        found = run(runs, call)
        assert session.trace.pattern == PATTERN
    assert breaks() <= 2 * own + 1
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-4)


def test_other_predictors_and_two_branches_share_the_two_graphs():
    transformer = small_stdit3()
    runs = torch.compile(transformer, backend="eager", fullgraph=True)
    for predictor in ("reuse", "taylor:order=2", "damped"):
        with cachekit.attach(runs, "fixed", pattern=PATTERN, steps=len(PATTERN), calls_per_step=2, predictor=predictor):
            for step in range(len(PATTERN)):
                call_stdit3(runs, step)
                call_stdit3(runs, step)
    assert graphs() == 2
    assert breaks() == 0


def test_a_model_compiled_in_place_while_attached_stays_compiled_after(model):
    transformer, call, adapter = model
    with attached(transformer, adapter):
        transformer.compile(backend="eager")
        run(transformer, call)
    assert transformer._compiled_call_impl is not None
    before = graphs()
    call(transformer, 0)
    call(transformer, 0)
    assert graphs() == before + 1


def test_the_graph_of_a_skipped_step_writes_out_nothing_but_the_models_output(model):
    transformer, call, adapter = model
    written = []

    def backend(module, inputs):
        (returned,) = next(node for node in module.graph.nodes if node.op == "output").args
        written.append(len(returned))
        return module.forward

    with attached(transformer, adapter):
        run(torch.compile(transformer, backend=backend, fullgraph=True), call)
    computed, skipped = written
    assert skipped == 1 < computed


def test_the_graph_of_a_skipped_step_has_each_tokens_channels_side_by_side_where_the_tokens_end():
    transformer, rows = small_stdit3(), []

    def backend(module, inputs):
        normalised = [n.args[0] for n in module.graph.nodes if n.target is torch.nn.functional.layer_norm]
        rows.append([node.meta["example_value"].is_contiguous() for node in normalised])
        return module.forward

    with attached(transformer, None):
        run(torch.compile(transformer, backend=backend, fullgraph=True), call_stdit3)
    computed, skipped = rows
    assert not computed[-1]
    assert skipped == [True]


def test_only_tokens_that_lie_apart_are_written_anew():
    apart = torch.randn(2, 3, 4).transpose(1, 2)
    together, image = torch.randn(2, 4, 3), torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last)
    rows, *same = in_rows((apart, together, image))
    assert rows.is_contiguous()
    assert torch.equal(rows, apart)
    assert all(new is old for new, old in zip(same, (together, image), strict=True))
