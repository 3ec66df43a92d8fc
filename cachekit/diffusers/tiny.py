"""Tiny pipeline folders with random weights, to try everything on without a hub: `python -m cachekit.diffusers.tiny`.

A folder is what `DiffusionPipeline.save_pretrained` writes, text encoder and tokenizer included, so it is loaded and
prompted like any other; what it makes is noise of its own kind. The weights are those of a seed, the same everywhere.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from cachekit.diffusers.model import without_bars

WIDTH = 32
"""Width of the tiny text encoders."""
PAD, END, BYTES = 0, 1, 2
"""Ids of the tiny tokenizer: padding, the end of a text, then the 256 bytes."""


def byte_tokenizer(length: int) -> Any:
    """A tokenizer that knows every text: a token a byte, up to `length`, and an end."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {"<pad>": PAD, "</s>": END, **{byte: BYTES + i for i, byte in enumerate(alphabet)}}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", END)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", model_max_length=length
    )


def t5_encoder(kind: str = "T5EncoderModel") -> Any:
    """A text encoder of T5's or (`UMT5EncoderModel`) of Wan's kind."""
    import transformers

    config = {"T5EncoderModel": transformers.T5Config, "UMT5EncoderModel": transformers.UMT5Config}[kind]
    encoder = getattr(transformers, kind)
    return encoder(
        config(
            vocab_size=BYTES + 256,
            d_model=WIDTH,
            d_kv=8,
            d_ff=WIDTH,
            num_layers=1,
            num_heads=4,
            pad_token_id=PAD,
            eos_token_id=END,
            feed_forward_proj="gated-gelu",
        )
    )


def clip_encoder() -> Any:
    """A text encoder of CLIP's kind, for a pooled vector."""
    from transformers import CLIPTextConfig, CLIPTextModel

    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=BYTES + 256,
            hidden_size=WIDTH,
            intermediate_size=WIDTH,
            projection_dim=WIDTH,
            num_hidden_layers=1,
            num_attention_heads=4,
            max_position_embeddings=77,
            pad_token_id=PAD,
            bos_token_id=PAD,
            eos_token_id=END,
        )
    )


def wan_transformer() -> Any:
    from diffusers import WanTransformer3DModel

    return WanTransformer3DModel(
        num_attention_heads=4,
        attention_head_dim=16,
        in_channels=16,
        out_channels=16,
        text_dim=WIDTH,
        freq_dim=64,
        ffn_dim=256,
        num_layers=6,
        rope_max_seq_len=256,
    )


def wan_parts() -> dict[str, Any]:
    from diffusers import AutoencoderKLWan, UniPCMultistepScheduler

    return {
        "tokenizer": byte_tokenizer(512),
        "text_encoder": t5_encoder("UMT5EncoderModel"),
        "vae": AutoencoderKLWan(base_dim=8, z_dim=16, dim_mult=[1, 1, 1, 1], num_res_blocks=1),
        "scheduler": UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0),
        "transformer": wan_transformer(),
    }


def wan() -> Any:
    """Wan 2.1's text to video."""
    from diffusers import WanPipeline

    return WanPipeline(**wan_parts())


def wan22() -> Any:
    """Wan 2.2's text to video: two transformers, the first for the noisier steps."""
    from diffusers import WanPipeline

    return WanPipeline(**wan_parts(), transformer_2=wan_transformer(), boundary_ratio=0.875)


def ltx() -> Any:
    """LTX-Video's text to video."""
    from diffusers import (
        AutoencoderKLLTXVideo,
        FlowMatchEulerDiscreteScheduler,
        LTXPipeline,
        LTXVideoTransformer3DModel,
    )

    return LTXPipeline(
        tokenizer=byte_tokenizer(128),
        text_encoder=t5_encoder(),
        vae=AutoencoderKLLTXVideo(
            latent_channels=16,
            block_out_channels=(8, 8, 8, 8),
            decoder_block_out_channels=(8, 8, 8, 8),
            layers_per_block=(1, 1, 1, 1, 1),
            decoder_layers_per_block=(1, 1, 1, 1, 1),
        ),
        scheduler=FlowMatchEulerDiscreteScheduler(),
        transformer=LTXVideoTransformer3DModel(
            in_channels=16,
            out_channels=16,
            num_attention_heads=4,
            attention_head_dim=16,
            cross_attention_dim=64,
            num_layers=6,
            caption_channels=WIDTH,
        ),
    )


def flux() -> Any:
    """FLUX.1-dev's text to image."""
    from diffusers import AutoencoderKL, FlowMatchEulerDiscreteScheduler, FluxPipeline, FluxTransformer2DModel

    return FluxPipeline(
        tokenizer=byte_tokenizer(77),
        text_encoder=clip_encoder(),
        tokenizer_2=byte_tokenizer(512),
        text_encoder_2=t5_encoder(),
        vae=AutoencoderKL(
            block_out_channels=(8, 8, 8, 8),
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            latent_channels=16,
            norm_num_groups=4,
            use_quant_conv=False,
            use_post_quant_conv=False,
            shift_factor=0.1159,
            scaling_factor=0.3611,
        ),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True),
        transformer=FluxTransformer2DModel(
            in_channels=64,
            num_layers=3,
            num_single_layers=4,
            attention_head_dim=16,
            num_attention_heads=4,
            joint_attention_dim=WIDTH,
            pooled_projection_dim=WIDTH,
            guidance_embeds=True,
            axes_dims_rope=(4, 6, 6),
        ),
    )


FAMILIES: dict[str, Callable[[], Any]] = {"wan": wan, "wan22": wan22, "ltx": ltx, "flux": flux}


def tiny_pipeline(family: str, seed: int = 0) -> Any:
    """A pipeline of one of `FAMILIES` with the seed's weights, float32, on the CPU."""
    import torch

    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(seed)
        pipe = FAMILIES[family]()
    for part in pipe.components.values():
        if isinstance(part, torch.nn.Module):
            part.eval()
    return pipe


@click.command()
@click.argument("family", type=click.Choice(tuple(FAMILIES)))
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--seed", default=0, show_default=True, help="Seed of the weights.")
def main(family: str, folder: Path, seed: int) -> None:
    """Write a tiny pipeline with random weights into FOLDER, for `--model diffusers:path=FOLDER`."""
    pipe = tiny_pipeline(family, seed)
    with without_bars():
        pipe.save_pretrained(folder)
    click.echo(f"wrote a tiny {family} pipeline to {folder}")


if __name__ == "__main__":
    main()
