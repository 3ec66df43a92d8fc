"""The whole pipeline, small and random: every stage runs, and from a folder of weights it is the same."""

import json
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file, save_file

import cachekit
from cachekit import CachekitError
from cachekit.opensora.adapter import OpenSoraAdapter
from cachekit.opensora.model import OpenSora
from cachekit.opensora.pipeline import VideoSize


class EveryOther(cachekit.Strategy):
    def plan(self, run):
        return ("X." * run.steps)[: run.steps]


def denoise(pipeline, text, seed=0, steps=3, on_step=None):
    return pipeline.denoise(text, seed=seed, steps=steps, guidance_scale=7.0, on_step=on_step)


@pytest.fixture(scope="module")
def latents(small, text):
    return denoise(small, text)


@pytest.fixture(scope="module")
def weights(small, tmp_path_factory):
    """The small pipeline's weights in a folder, laid out as the published repositories are, T5 apart."""
    folder = tmp_path_factory.mktemp("weights")
    config = small.transformer.config
    sizes = {"hidden_size": 48, "depth": 2, "num_heads": 4, "caption_channels": 64, "model_type": "STDiT3"}
    assert (config.hidden_size, config.depth) == (48, 2)
    temporal = {"type": "VAE_Temporal_SD", "filters": 8, "num_res_blocks": 1, "num_groups": 4}
    parts = {"transformer": (small.transformer, sizes), "vae": (small.vae, {"vae_temporal": temporal})}
    for name, (module, content) in parts.items():
        (folder / name).mkdir()
        (folder / name / "config.json").write_text(json.dumps(content))
        save_file({k: v.contiguous() for k, v in module.state_dict().items()}, folder / name / "model.safetensors")
    small.vae.spatial_vae.module.save_pretrained(folder / "spatial_vae" / "vae")
    return folder


def test_the_same_seed_gives_the_same_latents_and_another_seed_others(small, text, latents):
    assert latents.shape == (1, 4, 6, 18, 32)
    assert torch.equal(denoise(small, text), latents)
    assert not torch.equal(denoise(small, text, seed=1), latents)


def test_building_it_again_gives_the_same_weights(small, text, latents):
    again = OpenSora(weights="random:small").load(device="cpu", dtype=None)
    assert torch.equal(again.encode_text("a red balloon over a lake").y, text.y)
    assert torch.equal(denoise(again, text), latents)


def test_frames_are_8_bit_pictures_of_the_size_asked_for(small, latents):
    frames = small.decode(latents)
    assert frames.shape == (20, 144, 256, 3)
    assert frames.dtype == torch.uint8 and frames.device.type == "cpu"
    assert frames.float().std() > 1


def test_each_step_is_told(small, text):
    told = []
    denoise(small, text, on_step=told.append)
    assert told == [1, 2, 3]


def test_a_strategy_skips_steps_of_it(small, text, latents):
    with cachekit.attach(small.transformer, EveryOther(), steps=3, adapter=OpenSoraAdapter()) as session:
        cached = denoise(small, text)
    assert session.traces[-1].pattern == "X.X"
    assert not torch.equal(cached, latents)
    assert torch.equal(denoise(small, text), latents)


def test_offloading_changes_no_value(text, latents):
    waiting = OpenSora(weights="random:small", offload=True).load(device="cpu", dtype=None)
    assert torch.equal(waiting.encode_text("a red balloon over a lake").y, text.y)
    assert torch.equal(denoise(waiting, text), latents)
    assert waiting.decode(latents).shape == (20, 144, 256, 3)


def test_half_precision_runs_every_stage(extra):
    pipeline = OpenSora(weights="random:small", num_frames=1).load(device="cpu", dtype="bfloat16")
    latents = denoise(pipeline, pipeline.encode_text("a lake"))
    assert pipeline.transformer.final_layer.linear.weight.dtype == torch.bfloat16
    assert pipeline.decode(latents).shape == (1, 144, 256, 3)


def test_what_the_model_says_without_loading_is_what_the_pipeline_does(small):
    model = OpenSora(weights="random:small")
    assert model.timesteps(30) == small.timesteps(30)
    assert model.architecture() == OpenSoraAdapter().architecture(small.transformer)
    assert small.fps == 24.0


def test_the_published_defaults_are_those_of_the_papers():
    model = OpenSora()
    assert (model.steps, model.guidance_scale) == (30, 7.0)
    assert model.size() == VideoSize(frames=51, height=480, width=854, fps=24.0)
    assert model.architecture() == {"hidden_size": 1152, "depth": 28}
    timesteps = model.timesteps(30)
    assert timesteps[0] == pytest.approx(1000)
    assert timesteps[1] == pytest.approx(992.93, abs=0.01)
    assert timesteps[29] == pytest.approx(143.07, abs=0.1)


def test_the_published_config_of_the_transformer_gives_the_defaults():
    """What config.json of hpcai-tech/OpenSora-STDiT-v3 says, the switches of the public code's kernels left out."""
    from cachekit.opensora.parts import known_fields
    from cachekit.opensora.stdit3 import STDiT3Config

    published = {
        "architectures": ["STDiT3"],
        "caption_channels": 4096,
        "class_dropout_prob": 0.1,
        "depth": 28,
        "drop_path": 0.0,
        "freeze_y_embedder": True,
        "hidden_size": 1152,
        "in_channels": 4,
        "input_size": [None, None, None],
        "input_sq_size": 512,
        "mlp_ratio": 4.0,
        "model_max_length": 300,
        "num_heads": 16,
        "patch_size": [1, 2, 2],
        "pred_sigma": True,
        "qk_norm": True,
        "skip_y_embedder": False,
    }
    assert STDiT3Config(**known_fields(STDiT3Config, published)) == STDiT3Config()


def test_the_published_size_is_that_of_the_file():
    from cachekit.opensora.stdit3 import STDiT3, STDiT3Config

    with torch.device("meta"):
        state = STDiT3(STDiT3Config()).state_dict()
    assert 4 * sum(value.numel() for value in state.values()) == pytest.approx(4.84e9, abs=0.005e9)


def test_an_image_is_made_at_the_frame_rate_of_images():
    assert VideoSize(1, 144, 256, 24.0).conditions(torch.float32)["fps"].item() == 120
    assert VideoSize(2, 144, 256, 24.0).conditions(torch.float32)["fps"].item() == 24


def test_peak_memory_is_told_in_bytes(small):
    assert 2**26 < small.peak_memory_bytes() < 2**36


@pytest.mark.parametrize(
    ("prompt", "said"), [("word " * 400, "tokens"), ("###", "nothing of '###' is left"), ("a lake", "")]
)
def test_lost_words_are_warned_of(small, prompt, said):
    assert any(said in warning for warning in small.check_prompt(prompt)) == bool(said)


def test_an_empty_prompt_is_refused(small):
    with pytest.raises(CachekitError, match="empty"):
        small.check_prompt("  ")


def test_a_folder_of_weights_gives_the_same_pipeline(small, weights, t5_folder, text, latents, tmp_path):
    for part in ("transformer", "vae", "spatial_vae"):
        (tmp_path / part).symlink_to(weights / part)
    (tmp_path / "text_encoder").symlink_to(t5_folder)
    model = OpenSora(weights=str(tmp_path), resolution="144p", num_frames=20)
    loaded = model.load(device="cpu", dtype="float32")
    assert loaded.encode_text("a red balloon").y.shape == text.y.shape
    assert torch.equal(denoise(loaded, text), latents)
    assert torch.equal(loaded.decode(latents), small.decode(latents))


def test_a_video_vae_without_its_image_vae_takes_the_published_one(small, weights, tmp_path):
    from cachekit.opensora.parts import load_vae

    temporal = {f"temporal_vae.{k}": v.contiguous() for k, v in small.vae.temporal_vae.state_dict().items()}
    save_file(temporal, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text((weights / "vae" / "config.json").read_text())
    vae = load_vae(str(tmp_path), str(weights / "spatial_vae"), torch.float32)
    for key, value in small.vae.state_dict().items():
        assert torch.equal(vae.state_dict()[key], value), key


def test_an_image_vae_of_other_tensors_is_refused_with_each_named(small, tmp_path):
    from cachekit.opensora.parts import load_image_vae

    small.vae.spatial_vae.module.save_pretrained(tmp_path)
    file = tmp_path / "diffusion_pytorch_model.safetensors"
    weights = load_file(file)
    weights |= {"decoder.conv_in.bias": torch.zeros(3), "decoder.new": torch.zeros(1)}
    save_file(weights, file)
    with pytest.raises(
        CachekitError, match=r"unexpected: decoder\.new; misshapen: decoder\.conv_in\.bias \[3\] for \[16\]"
    ):
        load_image_vae(str(tmp_path), torch.float32)


def test_a_folder_that_lacks_a_part_says_how_to_fetch_it(weights):
    with pytest.raises(CachekitError, match=r"no folder text_encoder.*hf download DeepFloyd/t5-v1_1-xxl --local-dir"):
        OpenSora(weights=str(weights)).load(device="cpu", dtype="float32")


def test_without_transformers_the_error_names_the_extra(extra, monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(CachekitError, match=r"pip install 'cachekit-dit\[opensora\]'"):
        OpenSora(weights="random:small").load(device="cpu", dtype=None)


def test_a_dtype_that_it_cannot_run_in_is_refused():
    with pytest.raises(CachekitError, match="bfloat16"):
        OpenSora(weights="random:small").load(device="cpu", dtype="int8")


def test_naming_the_model_imports_neither_torch_nor_transformers():
    code = (
        "import sys, cachekit.opensora.model as m; m.OpenSora().architecture(); "
        "print([name for name in ('torch', 'transformers', 'diffusers') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
