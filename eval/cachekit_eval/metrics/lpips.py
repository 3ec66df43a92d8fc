"""Learned perceptual image patch similarity (Zhang et al., arXiv 1801.03924), by the `lpips` package.

As the papers' evaluator has it: AlexNet, `spatial=True` and the mean over the map, inputs in [-1, 1]. The package
ships its linear layers; AlexNet's own weights (torchvision's, 233 MB) are read from the torch hub cache or from a
file, and never downloaded from here. What runs on a CUDA device was not yet seen on one.
"""

from __future__ import annotations

import os
import pickle
import warnings
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

import attrs
import numpy as np

from cachekit_eval.files import digest
from cachekit_eval.metric import Frames, Metric, MetricUnavailableError

if TYPE_CHECKING:
    import torch

HUB_FILE = "alexnet-owt-7be5be79.pth"
URL = f"https://download.pytorch.org/models/{HUB_FILE}"
SLICE_OF_LAYER = {0: 1, 3: 2, 6: 3, 8: 4, 10: 5}
"""Which of the package's five slices each of AlexNet's convolutions (`features.N`) is in."""
SAFETENSORS = ".safetensors"
DEVICES = ("auto", "cpu", "cuda")
MOST_FRAMES = {"cpu": 4, "cuda": 64}
"""Frames at once beyond which nothing is gained."""
BYTES_PER_PIXEL = 256
"""What a pair of frames takes at the peak, both inputs, features and maps in float32, rounded up from 200."""
UNKNOWN_MEMORY = 2 << 30


@attrs.define
class Lpips(Metric):
    """LPIPS with AlexNet, averaged over its spatial map; 0 for equal frames, larger is worse."""

    label: ClassVar[str] = "LPIPS"
    protocol: ClassVar[str] = "lpips package, AlexNet, spatial map averaged, inputs in [-1, 1]; per frame"
    higher_is_better: ClassVar[bool] = False
    minimum_size: ClassVar[int] = 31

    weights: str | None = attrs.field(
        default=None,
        metadata={"help": "torchvision's AlexNet, a state dict or safetensors; the torch hub cache's where none is"},
    )
    device: str = attrs.field(
        default="auto",
        validator=attrs.validators.in_(DEVICES),
        metadata={"help": "auto, cpu or cuda; auto is cuda where there is one"},
    )
    _model: torch.nn.Module | None = attrs.field(default=None, init=False, repr=False, eq=False)
    _most_frames: int | None = attrs.field(default=None, init=False, repr=False, eq=False)
    """What the device's memory turned out to hold."""

    def prepare(self) -> None:
        if self._model is None:
            where = self._where()
            self._model = _model_with(_read_convolutions(self._find_weights())).to(where)

    def conditions(self) -> dict[str, Any]:
        libraries = {name: metadata.version(name) for name in ("lpips", "torch")}
        return {"weights": digest(self._find_weights()), "device": self._where(), **libraries}

    def _where(self) -> str:
        import torch

        if self.device == "cuda" and not torch.cuda.is_available():
            raise MetricUnavailableError("LPIPS is asked for on a CUDA device, and torch sees none; use cpu or auto")
        return "cuda" if self.device != "cpu" and torch.cuda.is_available() else "cpu"

    def batch_for(self, height: int, width: int) -> int:
        """As many frames as a quarter of the free memory holds."""
        room = _free_bytes(self._where()) // 4
        most = MOST_FRAMES[self._where()]
        return max(1, min(most, room // (BYTES_PER_PIXEL * height * width)))

    def _find_weights(self) -> Path:
        if self.weights is not None:
            return Path(self.weights)
        import torch

        cached = Path(torch.hub.get_dir()) / "checkpoints" / HUB_FILE
        if not cached.is_file():
            raise MetricUnavailableError(
                f"LPIPS needs AlexNet's weights, which are not in the torch hub cache ({cached}); download {URL} "
                "and pass it with --lpips-weights FILE, or put it there"
            )
        return cached

    def compare(self, gt: Frames, gen: Frames) -> list[float]:
        import torch

        self.prepare()
        means: list[float] = []
        while len(means) < len(gt):
            count = self._most_frames or len(gt)
            part = slice(len(means), len(means) + count)
            try:
                means += self._distances(gt[part], gen[part])
            except torch.cuda.OutOfMemoryError:
                # Others may have taken the memory that was free: half as many frames from here on.
                count = min(count, len(gt) - len(means))
                if count == 1:
                    raise
                self._most_frames = count // 2
                torch.cuda.empty_cache()
        return means

    def _distances(self, gt: Frames, gen: Frames) -> list[float]:
        import torch

        assert self._model is not None
        where = self._where()
        # TensorFloat-32 has ten bits of mantissa, which would show in the fourth digit.
        with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            distances = self._model(_as_input(gt, where), _as_input(gen, where))  # [N, 1, H, W]
            means: list[float] = distances.double().mean(dim=(1, 2, 3)).tolist()
        return means


def _free_bytes(where: str) -> int:
    """Memory that is free on the device, in bytes."""
    import torch

    if where == "cuda":
        return int(torch.cuda.mem_get_info()[0])
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # this system does not tell
        return UNKNOWN_MEMORY


def _as_input(frames: Frames, where: str) -> torch.Tensor:
    """`[N, H, W, 3]` uint8 as `[N, 3, H, W]` float32 in [-1, 1], through [0, 1] as the papers' evaluator goes."""
    import torch

    planes = np.ascontiguousarray(frames.transpose(0, 3, 1, 2))
    return torch.from_numpy(planes).to(where) / 255.0 * 2 - 1


def _read_convolutions(path: Path) -> dict[str, torch.Tensor]:
    """AlexNet's convolutions from a torchvision state dict, under the names that the lpips package has for them."""
    try:
        state = _read_state(path)
        return {
            f"slice{part}.{layer}.{kind}": state[f"features.{layer}.{kind}"]
            for layer, part in SLICE_OF_LAYER.items()
            for kind in ("weight", "bias")
        }
    except FileNotFoundError:
        raise MetricUnavailableError(f"the LPIPS weights file {str(path)!r} does not exist; download {URL}") from None
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError, KeyError, TypeError, ValueError) as error:
        raise MetricUnavailableError(_not_alexnet(path)) from error


def _read_state(path: Path) -> dict[str, torch.Tensor]:
    import torch

    if path.suffix == SAFETENSORS:
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return load_file(path)
        except SafetensorError as error:
            raise ValueError(str(error)) from error
    return cast("dict[str, torch.Tensor]", torch.load(path, map_location="cpu", weights_only=True))


def _model_with(convolutions: dict[str, torch.Tensor]) -> torch.nn.Module:
    import lpips  # type: ignore[import-untyped]
    import torch

    # The package fills the network with random weights first, which must not disturb the caller's random state.
    with torch.random.fork_rng(devices=()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model: torch.nn.Module = lpips.LPIPS(net="alex", spatial=True, pnet_rand=True, verbose=False)
    network = model.get_submodule("net")
    expected = network.state_dict()
    if any(expected[name].shape != tensor.shape for name, tensor in convolutions.items()):
        raise MetricUnavailableError(_not_alexnet(None))
    network.load_state_dict(convolutions)
    return model.eval()


def _not_alexnet(path: Path | None) -> str:
    named = f" {str(path)!r}" if path is not None else ""
    return f"the LPIPS weights file{named} is not torchvision's AlexNet state dict; download {URL}"
