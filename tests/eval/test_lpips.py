"""LPIPS: the `lpips` package as the oracle, with a seeded random AlexNet in the place of the 233 MB of the real one."""

import json

import cachekit_eval
import lpips
import numpy as np
import pytest
import torch
import torchvision

from cachekit.errors import CachekitError


@pytest.fixture(scope="module")
def alexnet():
    torch.manual_seed(7)
    return torchvision.models.alexnet(weights=None)


@pytest.fixture(scope="module")
def weights(alexnet, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "alexnet.pth"
    state = {name: tensor for name, tensor in alexnet.state_dict().items() if name.startswith("features.")}
    torch.save(state, path)
    return path


@pytest.fixture
def oracle(alexnet):
    """The `lpips` package with the same AlexNet, put in layer by layer."""
    model = lpips.LPIPS(net="alex", spatial=True, pnet_rand=True, verbose=False)
    for part in (model.net.slice1, model.net.slice2, model.net.slice3, model.net.slice4, model.net.slice5):
        for layer, module in part.named_children():
            module.load_state_dict(alexnet.features[int(layer)].state_dict())
    return lambda gt, gen: model(tensor(gt), tensor(gen)).mean().item()


def tensor(frame):
    return torch.from_numpy(frame).permute(2, 0, 1)[None] / 127.5 - 1


@pytest.fixture
def no_cached_weights(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "empty"))


def test_each_frame_has_the_lpips_packages_figure(clip, write_video, tmp_path, weights, oracle):
    gt, gen = clip(6), clip(6, error=20)
    write_video(tmp_path / "gt" / "a.mkv", gt)
    write_video(tmp_path / "gen" / "a.mkv", gen)
    result = cachekit_eval.evaluate(tmp_path / "gt", tmp_path / "gen", ["lpips"], lpips_weights=weights, per_frame=True)
    expected = [oracle(a, b) for a, b in zip(gt, gen, strict=True)]
    assert result.videos[0].per_frame["lpips"] == pytest.approx(expected, abs=1e-6)
    assert min(expected) > 0.01


def test_the_torch_hub_caches_weights_are_found(folders, tmp_path, weights, monkeypatch):
    checkpoints = tmp_path / "torch" / "hub" / "checkpoints"
    checkpoints.mkdir(parents=True)
    (checkpoints / "alexnet-owt-7be5be79.pth").write_bytes(weights.read_bytes())
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    assert cachekit_eval.evaluate(*folders)["lpips"].mean > 0


def test_without_weights_the_other_metrics_are_reported(folders, no_cached_weights, cachekit, tmp_path):
    status, out, _ = cachekit("eval", "--gt", folders[0], "--gen", folders[1], "--json", tmp_path / "result.json")
    result = json.loads((tmp_path / "result.json").read_text())
    assert status == 0
    assert "LPIPS is unavailable: LPIPS needs AlexNet's weights" in out
    assert result["folders"][0]["metrics"]["psnr"]["mean"] > 0
    assert result["folders"][0]["metrics"]["lpips"] is None
    assert result["folders"][0]["videos"][0]["metrics"]["lpips"] is None
    assert "--lpips-weights" in result["protocol"]["metrics"]["lpips"]["unavailable"]


def test_lpips_asked_for_without_weights_is_an_error_that_says_how_to_get_them(folders, no_cached_weights, cachekit):
    status, out, err = cachekit("eval", "--gt", folders[0], "--gen", folders[1], "--metrics", "psnr,lpips")
    assert status == 2
    assert out == ""
    assert "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth" in err
    assert "--lpips-weights FILE" in err


def write_other_network(path):
    torch.save({"features.0.weight": torch.zeros(1)}, path)


def write_other_shapes(path):
    torch.save(torchvision.models.AlexNet(num_classes=2).features[:1].state_dict(), path)


def write_code(path):
    torch.save({"features.0.weight": np.random.default_rng}, path)


@pytest.mark.parametrize(
    "write", [lambda path: path.write_bytes(b"no weights"), write_other_network, write_other_shapes, write_code]
)
def test_a_weights_file_that_is_not_alexnets_is_refused(folders, tmp_path, write):
    write(tmp_path / "weights.pth")
    with pytest.raises(CachekitError, match="is not torchvision's AlexNet state dict"):
        cachekit_eval.evaluate(*folders, lpips_weights=tmp_path / "weights.pth")


def test_a_weights_file_that_is_missing_is_an_error_even_where_no_metric_is_named(folders, tmp_path):
    with pytest.raises(CachekitError, match="does not exist"):
        cachekit_eval.evaluate(*folders, lpips_weights=tmp_path / "missing.pth")


def test_loading_lpips_leaves_torchs_random_state_alone(folders, weights):
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    cachekit_eval.evaluate(*folders, ["lpips"], lpips_weights=weights)
    assert torch.rand(1) == expected
