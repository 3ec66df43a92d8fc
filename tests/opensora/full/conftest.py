"""What the tests of the whole Open-Sora share: golden data, and the small random pipeline, built once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

SENTENCE = "a red balloon drifts over the lake while waves roll onto beach in evening light and mist rises slowly"
DATA = Path(__file__).parents[2] / "data" / "opensora"


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


@pytest.fixture(scope="session")
def t5_folder(small, tmp_path_factory):
    """A T5 encoder as DeepFloyd/t5-v1_1-xxl is published: torch's weight files, a sentence-piece vocabulary."""
    import sentencepiece

    folder = tmp_path_factory.mktemp("t5")
    small.text_encoder.model.config.save_pretrained(folder)
    weights = dict(small.text_encoder.model.state_dict())
    weights["shared.weight"] = weights["encoder.embed_tokens.weight"] = weights["shared.weight"].clone()
    names = sorted(weights)
    shards = {"pytorch_model-00001-of-00002.bin": names[::2], "pytorch_model-00002-of-00002.bin": names[1::2]}
    for file, keys in shards.items():
        torch.save({key: weights[key].clone() for key in keys}, folder / file)
    weight_map = {key: file for file, keys in shards.items() for key in keys}
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([SENTENCE, SENTENCE[::-1]] * 10),
        model_prefix=str(folder / "spiece"),
        vocab_size=40,
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        minloglevel=2,
    )
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "T5Tokenizer", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"})
    )
    return folder
