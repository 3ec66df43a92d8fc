"""A model small enough to make a video in a tenth of a second: opensora-mini with other sizes and random weights."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import attrs
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from cachekit.cli import main
from cachekit.opensora.mini.autoencoder import Autoencoder, AutoencoderConfig
from cachekit.opensora.mini.text import TextConfig, TextEncoder
from cachekit.opensora.stdit3 import STDiT3, STDiT3Config

Cachekit = Callable[..., tuple[int, str, str]]
"""Runs the command; returns its exit status and what it wrote to standard output and standard error."""


def run_command(*arguments: object) -> tuple[int, str, str]:
    """Run the command in this process."""
    out, errors = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(errors), pytest.raises(SystemExit) as exit_info:
        main([str(argument) for argument in arguments])
    assert isinstance(exit_info.value.code, int)
    return exit_info.value.code, out.getvalue(), errors.getvalue()


CIRCLE, SQUARE = "a red circle moves left over the sea", "a white square spins over a desert"


def write_model(path: Path, *, depth: int = 2, seed: int = 0) -> Path:
    """A weights file of a tiny model; another depth is another model, another seed other weights."""
    torch.manual_seed(seed)
    configs = {
        "autoencoder": AutoencoderConfig(latent_channels=4, width=16, inner_width=16),
        "text": TextConfig(channels=16, layers=1, heads=2),
        "transformer": STDiT3Config(
            hidden_size=32, depth=depth, num_heads=2, caption_channels=16, model_max_length=24, input_sq_size=64
        ),
    }
    modules: dict[str, nn.Module] = {
        "autoencoder": Autoencoder(configs["autoencoder"]),
        "text": TextEncoder(configs["text"]),
        "transformer": STDiT3(configs["transformer"]),
    }
    for parameter in modules["transformer"].parameters():
        nn.init.normal_(parameter, std=0.2)
    tensors = {f"{name}.{key}": t.contiguous() for name, m in modules.items() for key, t in m.state_dict().items()}
    config = {name: attrs.asdict(config) for name, config in configs.items()}
    save_file(tensors, path, metadata={"config": json.dumps(config)})
    return path
