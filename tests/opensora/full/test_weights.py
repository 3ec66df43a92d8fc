"""Weights come from folders or the hub's cache, in shards or whole, and every key that does not fit is named."""

import json
import os
import subprocess
import sys

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from cachekit import CachekitError
from cachekit.opensora.weights import Checkpoint, locate


def model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))


def save_shards(folder, weights):
    names = sorted(weights)
    parts = {"model-00001-of-00002.safetensors": names[:2], "model-00002-of-00002.safetensors": names[2:]}
    for file, keys in parts.items():
        save_file({key: weights[key].contiguous() for key in keys}, folder / file)
    weight_map = {key: file for file, keys in parts.items() for key in keys}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))


def test_shards_load_as_the_index_says(tmp_path):
    wanted = model().state_dict()
    save_shards(tmp_path, wanted)
    other = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    Checkpoint.open(tmp_path).load_into(other)
    assert all(torch.equal(other.state_dict()[key], value) for key, value in wanted.items())


def test_weights_take_the_models_dtype(tmp_path):
    wanted = model().state_dict()
    save_file(wanted, tmp_path / "model.safetensors")
    other = model().to(torch.bfloat16)
    Checkpoint.open(tmp_path).load_into(other)
    assert torch.equal(other[0].weight, wanted["0.weight"].bfloat16())


def test_every_missing_unexpected_and_misshapen_key_is_named_and_nothing_is_written(tmp_path):
    weights = dict(model().state_dict())
    del weights["0.bias"], weights["1.bias"]
    weights |= {"0.weight": torch.zeros(4, 5), "extra.a": torch.zeros(1), "extra.b": torch.zeros(1)}
    save_file(weights, tmp_path / "model.safetensors")
    there = model()
    before = {key: value.clone() for key, value in there.state_dict().items()}
    with pytest.raises(CachekitError) as error:
        Checkpoint.open(tmp_path).load_into(there)
    assert "missing: 0.bias, 1.bias" in str(error.value)
    assert "unexpected: extra.a, extra.b" in str(error.value)
    assert "misshapen: 0.weight [4, 5] for [4, 3]" in str(error.value)
    assert all(torch.equal(there.state_dict()[key], value) for key, value in before.items())


def test_of_several_variants_the_one_of_the_usual_name_is_taken(tmp_path):
    wanted = model().state_dict()
    save_file(wanted, tmp_path / "model.safetensors")
    save_file({key: torch.zeros_like(value) for key, value in wanted.items()}, tmp_path / "model.fp16.safetensors")
    other = model()
    Checkpoint.open(tmp_path).load_into(other)
    assert torch.equal(other[0].weight, wanted["0.weight"])


def test_a_shard_that_is_not_there_is_named(tmp_path):
    save_shards(tmp_path, model().state_dict())
    (tmp_path / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(CachekitError, match=r"lacks model-00002-of-00002\.safetensors"):
        Checkpoint.open(tmp_path)


def test_a_damaged_file_is_named(tmp_path):
    save_file(model().state_dict(), tmp_path / "model.safetensors")
    whole = (tmp_path / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CachekitError, match="can't be read"):
        Checkpoint.open(tmp_path)


def test_a_folder_without_weights_is_refused(tmp_path):
    with pytest.raises(CachekitError, match="no safetensors weights"):
        Checkpoint.open(tmp_path)


def test_a_folder_that_is_not_there_is_no_hub_name(extra, tmp_path):
    with pytest.raises(CachekitError, match="no folder"):
        locate(str(tmp_path / "nowhere"))


@pytest.fixture(scope="module")
def offline(extra, tmp_path_factory):
    """What an offline hub gives, in a process of its own: for a repository in its cache, and for another."""
    cache = tmp_path_factory.mktemp("hub")
    repository = cache / "models--owner--cached"
    snapshot = repository / "snapshots" / ("a" * 40)
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("a" * 40)
    save_file(model().state_dict(), snapshot / "model.safetensors")
    code = "from cachekit.opensora.weights import locate; print(locate('owner/cached')); locate('owner/other')"
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": str(cache)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    return done, snapshot


def test_the_hubs_cache_is_read_without_a_network(offline):
    done, snapshot = offline
    assert done.stdout.strip() == str(snapshot), done.stderr


def test_what_is_not_in_the_cache_is_an_error_that_says_how_to_fetch_it(offline):
    last = offline[0].stderr.strip().splitlines()[-1]
    assert "CachekitError" in last and "hf download owner/other" in last
