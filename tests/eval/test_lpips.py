"""LPIPS: the published figure with AlexNet's own weights; and, with a seeded random AlexNet, the `lpips` package's."""

import json
import pickle
from itertools import islice
from pathlib import Path

import cachekit_eval
import lpips
import numpy as np
import pytest
import torch
import torchvision
from alexnet import LAYERS, read_weights
from cachekit_eval.metrics.lpips import Lpips
from cachekit_eval.reading import Reader
from safetensors.torch import save_file

from cachekit.errors import CachekitError

ALEXNET = Path(__file__).parents[2] / ".venv" / "alexnet.safetensors"


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


@pytest.fixture(scope="module")
def real_weights():
    """AlexNet's own convolutions, which `make alexnet` fetches."""
    if not ALEXNET.is_file():
        pytest.skip("needs AlexNet's weights: make alexnet")
    return ALEXNET


@pytest.fixture
def no_cached_weights(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "empty"))


def test_the_real_pair_has_the_published_protocols_figure(real_pair, real_weights, golden, write_video, tmp_path):
    """The first 40 frames of carphone, with the weights that everybody's figures are made with."""
    for folder, side in zip(real_pair, ("gt", "gen"), strict=True):
        frames = list(islice(Reader(folder / "carphone.mp4").frames(), 40))
        write_video(tmp_path / side / "carphone.mkv", frames)
    result = cachekit_eval.evaluate(tmp_path / "gt", tmp_path / "gen", ["lpips"], lpips_weights=real_weights)
    assert result.videos[0].frames == 40
    assert result["lpips"].mean == pytest.approx(golden["lpips_first_40_frames"], abs=1e-6)


def test_the_figure_does_not_depend_on_the_batch(real_pair, real_weights):
    frames = [np.stack(list(islice(Reader(folder / "carphone.mp4").frames(), 5))) for folder in real_pair]
    metric = Lpips(weights=str(real_weights))
    alone = [metric.compare(gt[None], gen[None])[0] for gt, gen in zip(*frames, strict=True)]
    assert metric.compare(*frames) == pytest.approx(alone, abs=1e-6)


def test_a_batch_is_as_large_as_memory_and_use_allow(monkeypatch):
    metric = Lpips(device="cpu")
    monkeypatch.setattr("cachekit_eval.metrics.lpips._free_bytes", lambda where: 8 << 30)
    assert metric.batch_for(480, 854) == 4
    monkeypatch.setattr("cachekit_eval.metrics.lpips._free_bytes", lambda where: 1 << 30)
    assert metric.batch_for(480, 854) == 2
    assert metric.batch_for(4320, 7680) == 1


def test_safetensors_and_a_state_dict_of_the_same_weights_give_the_same(folders, weights, tmp_path):
    save_file(torch.load(weights, weights_only=True), tmp_path / "alexnet.safetensors")
    figures = [
        cachekit_eval.evaluate(*folders, ["lpips"], lpips_weights=file, per_frame=True).videos[0].per_frame
        for file in (weights, tmp_path / "alexnet.safetensors")
    ]
    assert figures[0] == figures[1]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_a_cuda_device_that_is_not_there_is_an_error_that_says_so(folders, weights):
    with pytest.raises(CachekitError, match="torch sees none"):
        cachekit_eval.evaluate(*folders, ["lpips"], lpips_weights=weights, lpips_device="cuda")


def test_a_device_of_another_name_is_refused(folders, weights):
    with pytest.raises(CachekitError, match="device"):
        cachekit_eval.evaluate(*folders, ["lpips"], lpips_weights=weights, lpips_device="gpu")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_cuda_device_gives_the_processors_figures(folders, weights):
    figures = [
        cachekit_eval.evaluate(*folders, ["lpips"], lpips_weights=weights, lpips_device=device)["lpips"].mean
        for device in ("cpu", "cuda")
    ]
    assert figures[1] == pytest.approx(figures[0], abs=1e-5)


def test_a_checkpoint_that_asks_for_more_than_arrays_is_refused():
    class Malicious:
        def __reduce__(self):
            return print, ("run",)

    with pytest.raises(pickle.UnpicklingError, match="is no numpy array"):
        read_weights(pickle.dumps({"AlexNet_0": Malicious()}))
    with pytest.raises(pickle.UnpicklingError):
        read_weights(pickle.dumps({"AlexNet_0": np.array([{}], dtype=object)}))


def test_a_checkpoint_of_arrays_is_read_in_torchvisions_layout(alexnet):
    state = {name: tensor.numpy() for name, tensor in alexnet.state_dict().items()}
    flax = {
        name: {
            "kernel": state[f"features.{number}.weight"].transpose(2, 3, 1, 0),
            "bias": state[f"features.{number}.bias"],
        }
        for name, number in LAYERS.items()
    }
    read = read_weights(pickle.dumps({"AlexNet_0": flax}, protocol=3))
    assert all(np.array_equal(weights, state[name]) for name, weights in read.items())
    assert len(read) == 10


@pytest.mark.filterwarnings("ignore::UserWarning")
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
