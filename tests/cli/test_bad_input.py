"""Requests that can't be met: one sentence, exit status 2, nothing written."""

import os

import pytest


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--strategy", "magcash"], "no strategy named 'magcash'; did you mean 'magcache'"),
        (["--predictor", "tailor"], "no predictor named 'tailor'; did you mean 'taylor'"),
        (["--predictor", "taylor:ordre=2"], "no parameter of taylor named 'ordre'; did you mean 'order'"),
        (["--model", "opensora-min"], "no model named 'opensora-min'; did you mean 'opensora-mini'"),
        (["--set", "tresh=1"], "no parameter of magcache named 'tresh'; did you mean 'thresh'"),
        (["--set", "thresh=much"], "magcache's thresh must be float, not 'much'"),
        (["--set", "thresh=-1"], "thresh"),
        (["--set", "thresh=nan"], "thresh must be a finite number"),
        (["--set", "K=0"], "K"),
        (["--set", "K"], "'K' is no setting; write name=value"),
        (["--set", "K=1", "--set", "K=2"], "'K' is set twice"),
        (["--strategy", "teacache", "--set", "thresh=a"], "teacache's thresh must be float"),
        (["--strategy", "none", "--predictor", "taylor"], "takes no --predictor"),
        (["--steps", "0"], "0"),
        (["--prompts", "nowhere.txt"], "can't be read"),
        (["--prompt", " "], "a prompt is empty"),
        (["--prompt", "ein Kreis"], "no word that opensora-mini knows"),
        (["--profile", "nowhere.json"], "there is no profile"),
        (["--weights", "nowhere.safetensors"], "there is no weights file"),
        (["--offload"], "has no option --offload"),
        (["--plugin", "not_a_module_at_all"], "'not_a_module_at_all' could not be imported"),
        (["--device", "cuda"], "sees no GPU"),
    ],
)
def test_run_refuses(cachekit_command, tmp_path, monkeypatch, arguments, sentence):
    import torch

    if "cuda" in arguments and torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    monkeypatch.chdir(tmp_path)
    result = cachekit_command("run", *arguments, "--out", tmp_path / "out")
    assert result.status == 2
    assert sentence in result.err.replace("\n", " ")
    assert not list((tmp_path / "out").glob("*.mp4"))


def test_an_unknown_command_gets_the_closest(cachekit_command):
    result = cachekit_command("rum")
    assert result.status == 2
    assert "no command named 'rum'; did you mean 'run'" in result.err


def test_damaged_weights_are_refused(cachekit_command, tmp_path, quick):
    (tmp_path / "w.safetensors").write_bytes(b"not weights at all")
    result = cachekit_command("run", *quick, "--weights", tmp_path / "w.safetensors", "--out", tmp_path / "out")
    assert result.status == 2
    assert "is no weights file of opensora-mini, or is damaged" in result.err


def test_weights_of_other_shapes_are_refused(cachekit_command, tmp_path, quick):
    import json
    from pathlib import Path

    import torch
    from safetensors.torch import load_file, save_file

    from cachekit.opensora.mini.config import read_config
    from cachekit.opensora.mini.model import OpenSoraMini

    shipped = OpenSoraMini().weights_path()
    tensors = load_file(shipped)
    tensors["transformer.x_embedder.proj.bias"] = torch.zeros(3)
    del tensors["text.norm.bias"]
    path = Path(tmp_path / "w.safetensors")
    save_file(tensors, path, metadata={"config": json.dumps(read_config(shipped))})
    result = cachekit_command("run", *quick, "--weights", path, "--out", tmp_path / "out")
    assert result.status == 2
    assert "norm.bias" in result.err


def test_a_profile_of_another_model_is_refused(cachekit_command, tmp_path, quick):
    import importlib.resources

    profile = importlib.resources.files("cachekit_magcache") / "profiles" / "opensora-1.2.json"
    result = cachekit_command("run", *quick, "--profile", profile, "--out", tmp_path / "out")
    assert result.status == 2
    assert "was made for Open-Sora 1.2" in result.err


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_can_not_be_written_to_is_refused(cachekit_command, tmp_path, quick):
    tmp_path.chmod(0o500)
    result = cachekit_command("run", *quick, "--out", tmp_path / "out")
    assert result.status == 2
    assert "can't be written to" in result.err


def test_an_output_that_is_a_file_is_refused(cachekit_command, tmp_path, quick):
    (tmp_path / "out").write_text("a file")
    result = cachekit_command("run", *quick, "--out", tmp_path / "out")
    assert result.status == 2
    assert "can't be written to" in result.err


def test_a_plugin_that_registers_a_taken_name_is_refused(cachekit_command, tmp_path, monkeypatch):
    (tmp_path / "takes_magcache.py").write_text(
        "import cachekit\n"
        "class Mine(cachekit.Strategy): pass\n"
        "@cachekit.hookimpl\n"
        "def cachekit_strategies(register):\n"
        "    register('magcache', Mine)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    result = cachekit_command("run", "--plugin", "takes_magcache", "--out", tmp_path / "out")
    assert result.status == 2
    assert "is registered twice" in result.err
    assert "takes_magcache" in result.err


def test_an_installed_plugin_that_fails_is_a_warning(cachekit_command, tmp_path, monkeypatch):
    import cachekit.registry.plugins

    (tmp_path / "fails.py").write_text("raise OSError('no licence')")
    info = tmp_path / "fails-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: fails\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[cachekit]\nfails = fails\n")
    monkeypatch.syspath_prepend(tmp_path)
    cachekit.registry.plugins._manager.cache_clear()
    result = cachekit_command("strategies")
    cachekit.registry.plugins._manager.cache_clear()
    assert result.status == 0
    assert "the plugin fails of fails 1.0 failed: OSError: no licence" in result.err
    assert "magcache" in result.out
