"""What the tests of the whole Open-Sora share: golden data, and the small random pipeline, built once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

DATA = Path(__file__).parents[1] / "data" / "opensora"


@pytest.fixture(scope="session")
def data() -> Path:
    return DATA


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Tensors here are so small that a second thread only waits."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def extra() -> None:
    """Skips where the packages of the extra `opensora` are not installed."""
    for package in ("transformers", "diffusers", "ftfy", "bs4", "sentencepiece", "huggingface_hub"):
        pytest.importorskip(package, reason=f"{package} is not installed: pip install 'cachekit-dit[opensora]'")


@pytest.fixture(scope="session")
def small(extra: None):
    """The pipeline of `--model opensora --weights random:small`."""
    from cachekit.opensora.model import OpenSora

    return OpenSora(weights="random:small").load(device="cpu", dtype=None)


@pytest.fixture(scope="session")
def text(small):
    return small.encode_text("a red balloon over a lake")
