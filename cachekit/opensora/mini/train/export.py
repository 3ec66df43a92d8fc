"""Stage 3: one safetensors file in half precision, with the sizes in its metadata."""

import json
from pathlib import Path

import attrs
import torch
from safetensors.torch import save_file
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
