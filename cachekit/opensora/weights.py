"""Weights: from a local folder or by their name on the Hugging Face hub, safetensors, every key accounted for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import attrs
import torch
from torch import nn

from cachekit.errors import CachekitError
from cachekit.files.reading import parse_json, read_text
from cachekit.opensora.optional import need

PATTERNS = ("*.json", "*.safetensors", "*.bin", "*.model")
"""Files of a published repository that are fetched: configs, weights, a tokenizer's vocabulary."""

USUAL_NAMES = ("model.safetensors", "diffusion_pytorch_model.safetensors")
"""What the weights are called where other variants of them may lie beside."""


def locate(name: str, *, subfolder: str = "", patterns: Iterable[str] = PATTERNS) -> Path:
    """The folder `name`, or that of the hub's repository `name`, fetched through huggingface_hub.

    The hub's cache (HF_HOME) and offline mode (HF_HUB_OFFLINE=1) are respected. Raises CachekitError where there is
    neither.
    """
    folder = Path(name).expanduser()
    if not folder.is_dir():
        folder = _fetch(name, [f"{subfolder}/{pattern}" if subfolder else pattern for pattern in patterns])
    inner = folder / subfolder
    return inner if subfolder and inner.is_dir() else folder


def _fetch(name: str, patterns: list[str]) -> Path:
    hub = need("huggingface_hub")
    if name.count("/") != 1 or name.startswith((".", "/", "~")):
        raise CachekitError(f"there is no folder {name!r}, and it is no name on the hub (owner/name) either")
    try:
        return Path(hub.snapshot_download(name, allow_patterns=patterns))
    except (OSError, ValueError) as error:
        first_line = str(error).strip().split("\n")[0]
        raise CachekitError(
            f"the weights {name!r} are neither a folder here nor to be had from the hub ({first_line}); fetch them "
            f"where there is a network with `hf download {name}`, or name their folder"
        ) from error


def read_config(folder: Path) -> dict[str, Any]:
    """What config.json holds, or nothing where there is none."""
    file = folder / "config.json"
    if not file.is_file():
        return {}
    try:
        content = parse_json(read_text(file))
    except (OSError, ValueError) as error:
        raise CachekitError(f"{str(file)!r} can't be read as JSON ({error}); fetch the weights again") from error
    return content if isinstance(content, dict) else {}


@attrs.frozen
class Checkpoint:
    """The tensors of a folder of safetensors files, read one by one when asked for."""

    folder: Path
    files: dict[str, Path]
    """The file that each tensor is in."""
    shapes: dict[str, tuple[int, ...]]

    @classmethod
    def open(cls, folder: Path) -> Checkpoint:
        """The folder's files: those that an index names, or all; raises CachekitError where one is damaged."""
        files: dict[str, Path] = {}
        shapes: dict[str, tuple[int, ...]] = {}
        for path in safetensors_files(folder):
            with opened(path) as tensors:
                for key in tensors.keys():  # noqa: SIM118 - no mapping
                    files[key] = path
                    shapes[key] = tuple(tensors.get_slice(key).get_shape())
        return cls(folder, files, shapes)

    def under(self, prefix: str) -> Checkpoint:
        """The tensors whose keys begin with `prefix`, by the rest of their keys."""
        keys = [key for key in self.files if key.startswith(prefix)]
        return Checkpoint(
            self.folder,
            {key: self.files[key] for key in keys},
            {key.removeprefix(prefix): self.shapes[key] for key in keys},
        )

    def load_into(self, model: nn.Module) -> None:
        """Copy every tensor into the model, in the model's dtype.

        Raises CachekitError, before anything is written, that names every missing, unexpected or misshapen key.
        """
        state = model.state_dict()
        check_keys(str(self.folder), type(model).__name__, {k: tuple(v.shape) for k, v in state.items()}, self.shapes)
        by_file: dict[Path, list[tuple[str, str]]] = {}
        for (key, path), short in zip(self.files.items(), self.shapes, strict=True):
            by_file.setdefault(path, []).append((key, short))
        with torch.no_grad():
            for path, keys in by_file.items():
                with opened(path) as tensors:
                    for key, short in keys:
                        state[short].copy_(tensors.get_tensor(key))


def safetensors_files(folder: Path) -> list[Path]:
    """The folder's weight files: those of its index, else the one of the usual name, else all."""
    indices = sorted(folder.glob("*.safetensors.index.json"))
    if indices:
        try:
            names = sorted(set(parse_json(read_text(indices[0]))["weight_map"].values()))
        except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
            raise CachekitError(f"the index {str(indices[0])!r} is damaged ({error!r}); fetch it again") from error
    else:
        there = sorted(path.name for path in folder.glob("*.safetensors"))
        names = [name for name in there if name in USUAL_NAMES] or there
    if not names:
        raise CachekitError(f"there are no safetensors weights in {str(folder)!r}; name the folder that holds them")
    absent = [name for name in names if not (folder / name).is_file()]
    if absent:
        raise CachekitError(f"{str(folder)!r} lacks {', '.join(absent)}, which its index names; fetch them again")
    return [folder / name for name in names]


def opened(path: Path) -> Any:
    """The safetensors file, open for reading; as a context manager it is closed."""
    import safetensors

    try:
        return safetensors.safe_open(path, framework="pt")
    except (OSError, safetensors.SafetensorError) as error:
        raise CachekitError(f"the weights {str(path)!r} can't be read ({error}); fetch them again") from error


def check_keys(
    source: str,
    model: str,
    wanted: Mapping[str, tuple[int, ...]],
    there: Mapping[str, tuple[int, ...]],
) -> None:
    """Refuse weights whose keys and shapes are not the model's; the CachekitError names each."""
    missing = [key for key in wanted if key not in there]
    unexpected = [key for key in there if key not in wanted]
    misshapen = [
        f"{key} {list(there[key])} for {list(wanted[key])}"
        for key in wanted
        if key in there and there[key] != wanted[key]
    ]
    refuse(source, model, missing=missing, unexpected=unexpected, misshapen=misshapen)


def refuse(
    source: str, model: str, *, missing: Iterable[str], unexpected: Iterable[str], misshapen: Iterable[str]
) -> None:
    """Raise the CachekitError that names these keys; nothing where there is none."""
    faults = {"missing": missing, "unexpected": unexpected, "misshapen": misshapen}
    told = [f"{kind}: {', '.join(keys)}" for kind, keys in ((k, sorted(v)) for k, v in faults.items()) if keys]
    if told:
        raise CachekitError(f"the weights in {source!r} are not those of this {model}; {'; '.join(told)}")
