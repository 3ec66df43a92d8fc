"""Stage 4: one safetensors file in half precision, with the sizes in its metadata."""

import json
from pathlib import Path

import attrs
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from cachekit.opensora.mini.autoencoder import Autoencoder
from cachekit.opensora.mini.train.transformer import MINI_CONFIG, Flow


def export(path: Path, autoencoder: Autoencoder, flow: Flow) -> None:
    """Write the weights file that the package ships."""
    parts: dict[str, nn.Module] = {"autoencoder": autoencoder, "text": flow.text, "transformer": flow.transformer}
    tensors = {
        f"{name}.{key}": tensor.to(torch.float16).contiguous()
        for name, module in parts.items()
        for key, tensor in module.state_dict().items()
    }
    config = {
        "autoencoder": attrs.asdict(autoencoder.config),
        "text": attrs.asdict(flow.text.config),
        "transformer": attrs.asdict(MINI_CONFIG),
    }
    save_file(tensors, path, metadata={"config": json.dumps(config)})


def read_part(path: Path, name: str) -> dict[str, torch.Tensor]:
    """The tensors of one part (`autoencoder`, `text` or `transformer`) of a weights file, in float32."""
    prefix = f"{name}."
    return {
        key.removeprefix(prefix): tensor.float() for key, tensor in load_file(path).items() if key.startswith(prefix)
    }
