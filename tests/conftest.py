"""Fixtures that several tests share."""

import json
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from stand_ins import OpenSoraLike, VideoSysLike
from tiny_model import CIRCLE, SQUARE, Cachekit, run_command, write_model
from torch.utils._python_dispatch import TorchDispatchMode

from cachekit.opensora.stdit3 import STDiT3, STDiT3Config

if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # as a shell starts what it runs in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)
torch.set_num_threads(1)  # threads cost a model this small more than they bring

GOLDEN = Path(__file__).parent / "data" / "opensora"


@pytest.fixture(autouse=True)
def no_gradients():
    with torch.no_grad():
        yield


@pytest.fixture(autouse=True)
def no_plugins_left(monkeypatch):
    """`--plugin` tells the processes that a command starts by the environment, which outlives a command run in here."""
    monkeypatch.setenv("CACHEKIT_PLUGINS", "")


@pytest.fixture(scope="session")
def golden():
    """What the public Open-Sora code computes for small seeded weights."""
    return json.loads((GOLDEN / "golden.json").read_text())


@pytest.fixture(scope="session")
def golden_forwards():
    return load_file(GOLDEN / "stdit3_forward.safetensors")


@pytest.fixture(scope="session")
def golden_trajectories():
    return load_file(GOLDEN / "trajectories.safetensors")


@pytest.fixture(scope="session")
def stdit3(golden):
    """Our STDiT3 with the golden weights."""
    model = STDiT3(STDiT3Config(**golden["config"])).eval()
    model.load_state_dict(load_file(GOLDEN / "stdit3_weights.safetensors"), strict=True)
    return model


@pytest.fixture
def transformer():
    """A seeded small transformer that takes a timestep, as the public Open-Sora one does."""
    torch.manual_seed(0)
    return OpenSoraLike()


@pytest.fixture
def videosys():
    torch.manual_seed(0)
    return VideoSysLike()


@pytest.fixture
def call(transformer):
    """Call the transformer at a timestep: `call(900.0)`, with more tokens or another input on request."""

    def call(timestep=500.0, tokens=6, seed=0, batch=1):
        generator = torch.Generator().manual_seed(seed)
        x = torch.randn(batch, tokens, 4, generator=generator)
        y = torch.randn(batch, 3, 16, generator=generator)
        return transformer(x, torch.full((batch,), timestep), y)

    return call


@pytest.fixture
def run(call):
    """A whole run of so many steps from timestep 1000 down; returns every output."""

    def run(steps, calls_per_step=1, **options):
        outputs = []
        for index in range(steps):
            for branch in range(calls_per_step):
                outputs.append(call(1000.0 * (1 - index / steps), seed=100 * branch + index, **options))
        return outputs

    return run


class ScalarReads(TorchDispatchMode):
    """While it is entered, notes every read of a tensor's value: on a GPU each would wait."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if "local_scalar_dense" in str(func):
            self.seen.append(str(func))
        return func(*args, **(kwargs or {}))


@pytest.fixture
def scalar_reads():
    return ScalarReads()


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model's weights."""
    return write_model(tmp_path_factory.mktemp("model") / "tiny.safetensors")


@pytest.fixture(scope="session")
def deeper_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another model's."""
    return write_model(tmp_path_factory.mktemp("model") / "deeper.safetensors", depth=3)


@pytest.fixture
def cachekit() -> Cachekit:
    """Runs the command."""
    return run_command


@pytest.fixture
def calibrate(cachekit: Cachekit, weights: Path, tmp_path: Path) -> Callable[..., Path]:
    """Calibrates a strategy on the tiny model at 8 steps; returns the profile's file."""

    def run(strategy: str, name: str = "", *options: object, prompts: tuple[str, ...] = (CIRCLE, SQUARE)) -> Path:
        out = tmp_path / f"{name or strategy}.json"
        asked = [word for prompt in prompts for word in ("--prompt", prompt)]
        command = ("calibrate", strategy, "--weights", weights, "--steps", 8, *asked, "--out", out, *options)
        status, _, errors = cachekit(*command)
        assert status == 0, errors
        return out

    return run
