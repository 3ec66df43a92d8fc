"""Other people's hooks, copies, threads and training beside a session."""

import copy
import io
import itertools
import threading

import pytest
import torch
from loops import Drift, EveryThird, Loop, falling
from strategies_for_tests import Pattern

import cachekit

LOOP = Loop(falling(9), seed=5)


class Theirs:
    """Somebody else's hand on a model: something put on, and taken off again."""

    def __init__(self, put, take):
        self.put, self.take = put, take


def accelerate_hooks(model):
    hooks = pytest.importorskip("accelerate.hooks")

    class Counts(hooks.ModelHook):
        calls = 0

        def pre_forward(self, module, *args, **kwargs):
            Counts.calls += 1
            return args, kwargs

    blocks = [*model.spatial_blocks, *model.temporal_blocks]
    return Theirs(
        lambda: [hooks.add_hook_to_module(module, Counts()) for module in (model, *blocks)],
        lambda: [hooks.remove_hook_from_module(module) for module in (model, *blocks)],
    )


def cpu_offload(model):
    big_modeling, hooks = pytest.importorskip("accelerate.big_modeling"), pytest.importorskip("accelerate.hooks")
    return Theirs(
        lambda: big_modeling.cpu_offload(model, execution_device=torch.device("cpu"), offload_buffers=True),
        lambda: hooks.remove_hook_from_submodules(model),
    )


def diffusers_hooks(model):
    hooks = pytest.importorskip("diffusers.hooks")

    class Passes(hooks.ModelHook):
        def pre_forward(self, module, *args, **kwargs):
            return args, kwargs

    modules = [model, *model.spatial_blocks, *model.temporal_blocks]
    return Theirs(
        lambda: [
            hooks.HookRegistry.check_if_exists_or_initialize(m).register_hook(Passes(), "theirs") for m in modules
        ],
        lambda: [m._diffusers_hook.remove_hook("theirs") for m in modules],
    )


def torch_hooks(model):
    handles = []

    def put():
        for module in (model, model.spatial_blocks[0], model.temporal_blocks[-1]):
            handles.append(module.register_forward_hook(lambda module, args, output: output))
            handles.append(module.register_forward_pre_hook(lambda module, args: None))

    return Theirs(put, lambda: [handle.remove() for handle in handles])


def replaced_forward(model):
    """`module.forward = wrapper(module.forward)`, as scripts do."""
    block, kept = model.temporal_blocks[-1], []

    def put():
        inner = block.forward
        kept.append(block.__dict__.get("forward"))
        block.forward = lambda *args, **kwargs: inner(*args, **kwargs)

    def take():
        if kept[0] is None:
            del block.forward
        else:
            block.forward = kept[0]

    return Theirs(put, take)


def lora(model):
    peft = pytest.importorskip("peft")
    config = peft.LoraConfig(r=2, target_modules=["linear"], init_lora_weights=False)
    tuners = pytest.importorskip("peft.tuners.tuners_utils")

    def take():
        for parent in list(model.modules()):
            for name, child in list(parent.named_children()):
                if isinstance(child, tuners.BaseTunerLayer):
                    setattr(parent, name, child.get_base_layer())

    return Theirs(lambda: peft.inject_adapter_in_model(config, model), take)


HANDS = [accelerate_hooks, cpu_offload, diffusers_hooks, torch_hooks, replaced_forward, lora]
ORDERS = [
    order
    for order in itertools.permutations(["put", "attach", "take", "detach"])
    if order.index("put") < order.index("take") and order.index("attach") < order.index("detach")
]


@pytest.mark.parametrize("order", ORDERS, ids=" ".join)
@pytest.mark.parametrize("hand", HANDS)
def test_put_on_and_taken_off_in_any_order(transformer, hand, order):
    bare = LOOP(transformer)
    theirs, session = hand(transformer), None
    for act in order:
        if act == "put":
            theirs.put()
        elif act == "take":
            theirs.take()
        elif act == "attach":
            session = cachekit.attach(transformer, EveryThird(), steps=9)
        else:
            session.detach()
        attached = session is not None and act != "detach" and bool(session._standing)
        wanted = (
            uncached(transformer, session)
            if hand is lora and act != "take" and order.index("put") <= order.index(act)
            else bare
        )
        if attached:
            before = transformer.block_calls()
            LOOP(transformer)
            assert session.traces[-1].pattern == "X..X..X.."
            assert transformer.block_calls() - before == 3 * 4
            wanted = uncached(transformer, session)
        if not attached or hand is not lora:
            torch.testing.assert_close(uncached(transformer, session), wanted, rtol=0, atol=0)
    assert torch.equal(LOOP(transformer), bare)


def uncached(transformer, session):
    if session is None:
        return LOOP(transformer)
    with session.paused():
        return LOOP(transformer)


def test_detaching_leaves_no_attribute(transformer):
    modules = list(transformer.modules())
    before = [dict(vars(module)) for module in modules]
    cachekit.attach(transformer, EveryThird(), steps=9).detach()
    assert [vars(module) for module in modules] == before


def deep_copy(model):
    return copy.deepcopy(model)


def pickled(model):
    buffer = io.BytesIO()
    torch.save(model, buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=False)


@pytest.mark.parametrize("copied", [deep_copy, pickled])
def test_a_copy_of_an_attached_model_is_a_bare_model(transformer, copied):
    bare = LOOP(transformer)
    with cachekit.attach(transformer, EveryThird(), steps=9) as session:
        LOOP(transformer)
        other = copied(transformer)
        assert torch.equal(LOOP(other), bare)
        assert len(session.traces) == 1
        with cachekit.attach(other, EveryThird(), steps=9) as second:
            LOOP(other)
            assert second.trace.pattern == "X..X..X.."
    assert torch.equal(LOOP(other), bare)


def test_quantizing_dynamically_gives_a_bare_model_too(transformer):
    quantize = pytest.importorskip("torch.ao.quantization").quantize_dynamic
    if "qnnpack" not in torch.backends.quantized.supported_engines and not torch.backends.quantized.supported_engines:
        pytest.skip("this build of torch has no quantized engine")
    wanted = LOOP(quantize(transformer, {torch.nn.Linear}))
    with cachekit.attach(transformer, EveryThird(), steps=9):
        found = quantize(transformer, {torch.nn.Linear})
        assert torch.equal(LOOP(found), wanted)


def test_two_calls_at_once_from_two_threads_are_refused_and_the_first_goes_on(transformer):
    entered, go_on, refusals = threading.Event(), threading.Event(), []

    def wait(module, args):
        entered.set()
        assert go_on.wait(30)

    with cachekit.attach(transformer, EveryThird(), steps=9) as session:
        handle = transformer.spatial_blocks[0].register_forward_pre_hook(wait)
        first = threading.Thread(target=lambda: Loop(falling(9), stop_after=1)(transformer))
        first.start()
        assert entered.wait(30)
        with pytest.raises(cachekit.CachekitError, match="while another call of it was still running") as refusal:
            Loop(falling(9), stop_after=1)(transformer)
        refusals.append(refusal)
        go_on.set()
        first.join()
        handle.remove()
        assert session.trace.pattern == "X"
    assert refusals


def test_calls_one_after_another_from_different_threads_are_one_run(transformer):
    bare = LOOP(transformer)

    def in_thread(*args):
        found = []
        thread = threading.Thread(target=lambda: found.append(torch.no_grad()(transformer)(*args)))
        thread.start()
        thread.join()
        return found[0]

    with cachekit.attach(transformer, EveryThird(), steps=9) as session:
        LOOP(in_thread)
        assert session.traces[0].pattern == "X..X..X.."
    assert torch.equal(LOOP(in_thread), bare)


@pytest.mark.parametrize("strategy", [EveryThird(), Drift(thresh=10.0)])
def test_gradients_wanted_on_a_skipped_step_are_refused(transformer, strategy):
    with (
        torch.enable_grad(),
        cachekit.attach(transformer, strategy, steps=9),
        pytest.raises(cachekit.CachekitError, match="gradients are wanted on a skipped step"),
    ):
        LOOP(transformer)


def test_a_lost_session_can_be_ended(transformer):
    cachekit.attach(transformer, EveryThird(), steps=9)
    with pytest.raises(cachekit.CachekitError, match=r"cachekit\.detach"):
        cachekit.attach(transformer, EveryThird(), steps=9)
    cachekit.detach(transformer)
    cachekit.attach(transformer, EveryThird(), steps=9).detach()
    with pytest.raises(cachekit.CachekitError, match="no session is attached"):
        cachekit.detach(transformer)


class NoPattern(cachekit.Strategy):
    def plan(self, run):
        return ["X"] * run.steps


class Undecided(cachekit.Strategy):
    def should_compute(self, step):
        return None


class WrongShape(cachekit.Predictor):
    def update(self, step, residual):
        self.seen = residual

    def predict(self, step):
        return self.seen[:, :1]


class WrongWeights(cachekit.LinearPredictor):
    """A linear predictor whose one weight is a tensor of so many dimensions, and so is what it predicts."""

    history = 1

    def weights(self, computed, index):
        return [torch.full((1, 1, 1, 1, 1), 2.0)]


class WrongType(WrongShape):
    def predict(self, step):
        return self.seen.double()


class Nothing(WrongShape):
    def predict(self, step):
        return None


class Headless(Pattern):
    head, tail = 3, 1


@pytest.mark.parametrize(
    ("strategy", "options", "words"),
    [
        (NoPattern(), {}, "the plan of NoPattern must be 9 characters"),
        (EveryThird, {}, r"EveryThird is a class; give EveryThird\(\)"),
        (EveryThird(), {"predictor": WrongShape}, r"WrongShape is a class; give WrongShape\(\)"),
        (EveryThird(), {"predictor": 3}, "must be a registered name or an object of its class, not 3"),
        (EveryThird(), {"adapter": cachekit.Adapter}, "Adapter is a class"),
        (Headless(pattern="X........"), {}, "leaves none of the 4 blocks"),
    ],
)
def test_what_can_t_work_is_refused_at_attach(transformer, strategy, options, words):
    with pytest.raises(cachekit.CachekitError, match=words):
        cachekit.attach(transformer, strategy, steps=9, **options)
    assert "_compiled_call_impl" not in vars(transformer)


@pytest.mark.parametrize(
    ("strategy", "predictor", "words"),
    [
        (Undecided(), None, "should_compute of Undecided must return True or False, not None"),
        (EveryThird(), WrongShape(), "the predictor WrongShape must predict a residual like the computed one"),
        (EveryThird(), WrongWeights(), "the predictor WrongWeights must predict a residual like the computed one"),
        (EveryThird(), WrongType(), "WrongType must predict .* but gave .*float64"),
        (EveryThird(), Nothing(), "Nothing must predict .* but gave no tensor"),
    ],
)
def test_what_a_plugin_returns_is_checked_where_it_is_used(transformer, strategy, predictor, words):
    with cachekit.attach(transformer, strategy, steps=9, predictor=predictor) as session:
        with pytest.raises(cachekit.CachekitError, match=words):
            LOOP(transformer)
        session.detach()
    LOOP(transformer)


def test_the_same_block_in_two_places_is_refused(transformer):
    transformer.spatial_blocks[1] = transformer.spatial_blocks[0]
    with pytest.raises(cachekit.CachekitError, match="a block stands twice"):
        cachekit.attach(transformer, EveryThird(), steps=9)
