"""The tiny model, and the commands run on it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tiny_model import CIRCLE, SQUARE, Cachekit, write_model

from cachekit.cli import main

torch.set_num_threads(1)  # threads cost a model this small more than they bring


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model's weights."""
    return write_model(tmp_path_factory.mktemp("model") / "tiny.safetensors")


@pytest.fixture(scope="session")
def deeper_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another model's."""
    return write_model(tmp_path_factory.mktemp("model") / "deeper.safetensors", depth=3)


@pytest.fixture
def cachekit(capsys: pytest.CaptureFixture[str]) -> Cachekit:
    """Runs the command; returns its exit status and what it wrote to standard output and standard error."""

    def run(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as exit_info:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        assert isinstance(exit_info.value.code, int)
        return exit_info.value.code, captured.out, captured.err

    return run


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
