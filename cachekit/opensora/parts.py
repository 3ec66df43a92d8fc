"""The four parts of Open-Sora 1.2, each loaded from its published weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import attrs
import torch
from torch import nn

from cachekit.errors import CachekitError
from cachekit.opensora.optional import need
from cachekit.opensora.stdit3 import STDiT3, STDiT3Config
from cachekit.opensora.temporal_vae import TemporalVAE, TemporalVAEConfig
from cachekit.opensora.text import PublishedTokenizer, Tokenizer
from cachekit.opensora.vae import SpatialVAE, VideoVAE
from cachekit.opensora.weights import Checkpoint, locate, read_config, refuse


def load_transformer(name: str, dtype: torch.dtype) -> STDiT3:
    """An STDiT3 of the sizes that its config.json names, the published ones where there is none."""
    folder = locate(name)
    checkpoint = Checkpoint.open(folder)
    transformer = STDiT3(STDiT3Config(**known_fields(STDiT3Config, read_config(folder)))).to(dtype)
    checkpoint.load_into(transformer)
    return transformer.eval()


def load_vae(name: str, spatial_name: str, dtype: torch.dtype) -> VideoVAE:
    """The video VAE of `name`; the image VAE's sizes, and its weights where `name` lacks them, of `spatial_name`."""
    folder = locate(name)
    checkpoint = Checkpoint.open(folder)
    temporal_vae = TemporalVAE(
        TemporalVAEConfig(**known_fields(TemporalVAEConfig, read_config(folder), "vae_temporal"))
    )
    if checkpoint.under("spatial_vae.").files:
        vae = VideoVAE(SpatialVAE(image_vae_of(spatial_name)), temporal_vae).to(dtype)
        checkpoint.load_into(vae)
    else:
        vae = VideoVAE(SpatialVAE(load_image_vae(spatial_name, dtype)), temporal_vae).to(dtype)
        checkpoint.under("temporal_vae.").load_into(vae.temporal_vae)
    return vae.eval()


def image_vae_of(name: str) -> nn.Module:
    """An AutoencoderKL of the sizes that are published under `name`, its weights still random."""
    folder = locate(name, subfolder="vae", patterns=("config.json",))
    config = read_config(folder)
    if not config:
        raise CachekitError(f"there is no config.json of the image VAE in {str(folder)!r}; fetch it from the hub again")
    module: nn.Module = need("diffusers").AutoencoderKL.from_config(config)
    return module


def load_image_vae(name: str, dtype: torch.dtype) -> nn.Module:
    """The AutoencoderKL published under `name`, in its folder `vae` where it has one."""
    diffusers = need("diffusers")
    folder = locate(name, subfolder="vae")
    return _from_pretrained(diffusers, diffusers.AutoencoderKL, folder, low_cpu_mem_usage=False, torch_dtype=dtype)


def load_text_model(name: str, dtype: torch.dtype) -> tuple[nn.Module, Tokenizer]:
    """A T5 encoder and its tokenizer; a decoder that is stored beside it is left out."""
    transformers = need("transformers")
    folder = locate(name)
    try:
        tokenizer = PublishedTokenizer(transformers.AutoTokenizer.from_pretrained(folder))
    except (OSError, ValueError) as error:
        raise CachekitError(
            f"the tokenizer in {str(folder)!r} can't be read ({_line(error)}); fetch it again"
        ) from error
    left_out = ("decoder.", "lm_head.")
    model = _from_pretrained(transformers, transformers.T5EncoderModel, folder, left_out=left_out, dtype=dtype)
    return model, tokenizer


def known_fields(kind: type, config: Mapping[str, Any], section: str = "") -> dict[str, Any]:
    """What a published config, or a section of it, says of the fields of an attrs class; it says more than those."""
    entries = config.get(section) if section else config
    names = {field.name for field in attrs.fields(kind)}
    return {key: value for key, value in (entries or {}).items() if key in names}


def _from_pretrained(
    package: ModuleType, kind: Any, folder: Path, *, left_out: tuple[str, ...] = (), **options: object
) -> nn.Module:
    """`kind.from_pretrained`, which is asked to tell every fault and to print none.

    Keys that begin with one of `left_out` may be in the folder and are not the model's.
    """
    try:
        with quiet(package):
            model, found = kind.from_pretrained(
                folder, output_loading_info=True, ignore_mismatched_sizes=True, **options
            )
    except (OSError, ValueError, RuntimeError) as error:
        raise CachekitError(f"the weights in {str(folder)!r} can't be read as a {kind.__name__}'s: {error}") from error
    refuse(
        str(folder),
        kind.__name__,
        missing=found["missing_keys"],
        unexpected=[key for key in found["unexpected_keys"] if not key.startswith(left_out)],
        misshapen=[f"{key} {list(there)} for {list(wanted)}" for key, there, wanted in found["mismatched_keys"]],
    )
    evaluating: nn.Module = model.eval()
    return evaluating


@contextmanager
def quiet(package: ModuleType) -> Iterator[None]:
    """Without the reports and progress bars of transformers or diffusers, whose settings are put back."""
    logging = package.utils.logging
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


def _line(error: Exception) -> str:
    return str(error).strip().split("\n")[0]
