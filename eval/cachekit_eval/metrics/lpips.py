"""Learned perceptual image patch similarity (Zhang et al., arXiv 1801.03924), by the `lpips` package.

As the papers' evaluator has it: AlexNet, `spatial=True` and the mean over the map, inputs in [-1, 1]. The package
ships its linear layers; AlexNet's own weights (torchvision's, 233 MB) are read from the torch hub cache or from a
file, and never downloaded from here.
"""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import attrs
import numpy as np

from cachekit_eval.metric import Frames, Metric, MetricUnavailableError

if TYPE_CHECKING:
    import torch

HUB_FILE = "alexnet-owt-7be5be79.pth"
URL = f"https://download.pytorch.org/models/{HUB_FILE}"
SLICE_OF_LAYER = {0: 1, 3: 2, 6: 3, 8: 4, 10: 5}
"""Which of the package's five slices each of AlexNet's convolutions (`features.N`) is in."""


@attrs.define
class Lpips(Metric):
    """LPIPS with AlexNet, averaged over its spatial map; 0 for equal frames, larger is worse."""

    label: ClassVar[str] = "LPIPS"
    protocol: ClassVar[str] = "lpips package, AlexNet, spatial map averaged, inputs in [-1, 1]; per frame"
    higher_is_better: ClassVar[bool] = False
    minimum_size: ClassVar[int] = 31
    batch_size: ClassVar[int] = 4

    weights: str | None = attrs.field(
        default=None, metadata={"help": "torchvision's AlexNet state dict; the torch hub cache's where none is named"}
    )
    _model: torch.nn.Module | None = attrs.field(default=None, init=False, repr=False, eq=False)

    def prepare(self) -> None:
        if self._model is None:
            self._model = _model_with(_read_convolutions(self._find_weights()))

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
        assert self._model is not None
        with torch.inference_mode():
            distances = self._model(_as_input(gt), _as_input(gen))  # [N, 1, H, W]
            means: list[float] = distances.double().mean(dim=(1, 2, 3)).tolist()
        return means


def _as_input(frames: Frames) -> torch.Tensor:
    """`[N, H, W, 3]` uint8 as `[N, 3, H, W]` float32 in [-1, 1], through [0, 1] as the papers' evaluator goes."""
    import torch

    planes = np.ascontiguousarray(frames.transpose(0, 3, 1, 2))
    return torch.from_numpy(planes) / 255.0 * 2 - 1


def _read_convolutions(path: Path) -> dict[str, torch.Tensor]:
    """AlexNet's convolutions from a torchvision state dict, under the names that the lpips package has for them."""
    import torch

    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        return {
            f"slice{part}.{layer}.{kind}": state[f"features.{layer}.{kind}"]
            for layer, part in SLICE_OF_LAYER.items()
            for kind in ("weight", "bias")
        }
    except FileNotFoundError:
        raise MetricUnavailableError(f"the LPIPS weights file {str(path)!r} does not exist; download {URL}") from None
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError, KeyError, TypeError, ValueError) as error:
        raise MetricUnavailableError(_not_alexnet(path)) from error


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
