"""What a call of a small transformer costs under cachekit and under its peers: `python benchmarks/peers.py`.

Wan, FLUX and LTX of diffusers, six or seven blocks each, random weights. All ways take turns in one process, round
after round; what is printed is the median of each, in milliseconds. Each way runs whole denoising loops of one
transformer that is its own (the same weights); the calls are timed one by one and sorted by whether their blocks ran,
which a hook in a middle block tells. `bare` has no cache, `floor` has no blocks. Needs `pip install 'cachekit-
dit[diffusers]'` and, for its column, `pip install cache-dit`.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import platform
import statistics
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import diffusers
import torch
from torch import nn

import cachekit
from cachekit.attaching.benchmark import without_blocks
from cachekit.diffusers.structure import body_of

WIDTH, STEPS = 128, 12
PATTERN = "XXX.X.X.X.X."
"""Of the planned ways; the others decide for themselves."""


@attrs.frozen
class Subject:
    """A small transformer, and what a step calls it with."""

    make: Callable[[], nn.Module]
    inputs: Callable[[], dict[str, Any]]
    noisy: str = "hidden_states"


def wan() -> nn.Module:
    return diffusers.WanTransformer3DModel(
        num_attention_heads=4, attention_head_dim=32, in_channels=16, out_channels=16, text_dim=WIDTH, freq_dim=64,
        ffn_dim=512, num_layers=6, rope_max_seq_len=64,
    )  # fmt: skip


def wan_inputs() -> dict[str, Any]:
    return {"hidden_states": torch.randn(1, 16, 4, 16, 16), "encoder_hidden_states": torch.randn(1, 32, WIDTH)}


def flux() -> nn.Module:
    return diffusers.FluxTransformer2DModel(
        in_channels=64, num_layers=3, num_single_layers=4, attention_head_dim=32, num_attention_heads=4,
        joint_attention_dim=WIDTH, pooled_projection_dim=WIDTH, guidance_embeds=True, axes_dims_rope=(8, 12, 12),
    )  # fmt: skip


def flux_inputs() -> dict[str, Any]:
    return {
        "hidden_states": torch.randn(1, 256, 64),
        "encoder_hidden_states": torch.randn(1, 32, WIDTH),
        "pooled_projections": torch.randn(1, WIDTH),
        "guidance": torch.tensor([3.5]),
        "img_ids": torch.cartesian_prod(torch.zeros(1), torch.arange(16.0), torch.arange(16.0)),
        "txt_ids": torch.zeros(32, 3),
    }


def ltx() -> nn.Module:
    return diffusers.LTXVideoTransformer3DModel(
        in_channels=64, out_channels=64, num_attention_heads=4, attention_head_dim=32, cross_attention_dim=WIDTH,
        num_layers=6, caption_channels=WIDTH,
    )  # fmt: skip


def ltx_inputs() -> dict[str, Any]:
    return {
        "hidden_states": torch.randn(1, 256, 64),
        "encoder_hidden_states": torch.randn(1, 32, WIDTH),
        "encoder_attention_mask": torch.ones(1, 32, dtype=torch.bool),
        "num_frames": 4,
        "height": 8,
        "width": 8,
    }


SUBJECTS = {"Wan": Subject(wan, wan_inputs), "FLUX": Subject(flux, flux_inputs), "LTX": Subject(ltx, ltx_inputs)}


@contextlib.contextmanager
def with_cachekit(model: Any, steps: int) -> Iterator[None]:
    with cachekit.attach(model, "fixed", steps=steps, pattern=PATTERN):
        yield


@contextlib.contextmanager
def with_hook(model: Any, config: Any) -> Iterator[None]:
    """One of diffusers' own caches, put on for one loop."""
    model.enable_cache(config)
    try:
        yield
    finally:
        model.disable_cache()


def magcache(model: Any, steps: int) -> Any:
    config = diffusers.MagCacheConfig(
        threshold=1.0, max_skip_steps=1, retention_ratio=2 / steps, num_inference_steps=steps, mag_ratios=[1.0] * steps
    )
    return with_hook(model, config)


def first_block(model: Any, steps: int) -> Any:
    return with_hook(model, diffusers.FirstBlockCacheConfig(threshold=10.0))


@contextlib.contextmanager
def with_cache_dit(model: Any, steps: int) -> Iterator[None]:
    import cache_dit

    config = cache_dit.DBCacheConfig(
        Fn_compute_blocks=1, Bn_compute_blocks=0, residual_diff_threshold=10.0, max_warmup_steps=2,
        max_continuous_cached_steps=1, num_inference_steps=steps, enable_separate_cfg=False,
    )  # fmt: skip
    cache_dit.enable_cache(model, cache_config=config)
    try:
        yield
    finally:
        cache_dit.disable_cache(model)


@contextlib.contextmanager
def floor(model: Any, steps: int) -> Iterator[None]:
    with without_blocks(model):
        yield


def ways() -> dict[str, Callable[[Any, int], Any]]:
    found: dict[str, Callable[[Any, int], Any]] = {
        "bare": lambda model, steps: contextlib.nullcontext(),
        "floor": floor,
        "cachekit": with_cachekit,
        "diffusers MagCache": magcache,
        "diffusers FirstBlockCache": first_block,
    }
    with contextlib.suppress(ImportError):
        import cache_dit

        import_logging_off(cache_dit)
        found["cache-dit"] = with_cache_dit
    return found


def import_logging_off(module: Any) -> None:
    import logging

    logging.getLogger(module.__name__.upper()).setLevel(logging.ERROR)
    for name in list(logging.root.manager.loggerDict):
        if "cache_dit" in name.lower():
            logging.getLogger(name).setLevel(logging.ERROR)


@attrs.define
class Timed:
    """Milliseconds of one way's calls, by whether their blocks ran."""

    computed: list[float] = attrs.field(factory=list)
    skipped: list[float] = attrs.field(factory=list)


def loop(model: Any, given: list[dict[str, Any]], ran: list[int], timed: Timed | None) -> None:
    """One denoising loop; each call's time goes where its middle block's hook says."""
    for arguments in given:
        before = len(ran)
        context = model.cache_context("cond") if hasattr(model, "cache_context") else contextlib.nullcontext()
        with context:
            start = time.perf_counter()
            model(**arguments, return_dict=False)
            elapsed = (time.perf_counter() - start) * 1000
        if timed is not None:
            (timed.computed if len(ran) > before else timed.skipped).append(elapsed)


def measure(subject: Subject, rounds: int) -> dict[str, Timed]:
    torch.manual_seed(0)
    weights = subject.make().eval().requires_grad_(False)
    inputs = subject.inputs()
    pure = inputs.pop(subject.noisy)
    given = [
        {
            subject.noisy: pure * (1 - step / STEPS),
            "timestep": torch.tensor([1000.0 * (1 - step / STEPS)]),
            **inputs,
        }
        for step in range(STEPS)
    ]
    models, ran = {}, {}
    for name in ways():
        model = subject.make().eval().requires_grad_(False)
        model.load_state_dict(weights.state_dict())
        counter: list[int] = []
        middle = body_of(model).blocks[2]
        inner = next(child for child in middle.modules() if isinstance(child, nn.Linear))
        inner.register_forward_pre_hook(lambda module, args, counter=counter: counter.append(1))
        models[name], ran[name] = model, counter
    timed = {name: Timed() for name in models}
    names = list(models)
    for number in range(-2, rounds):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            with ways()[name](models[name], STEPS):
                loop(models[name], given, ran[name], timed[name] if number >= 0 else None)
    return timed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20, help="timed loops of each way (default: 20)")
    parser.add_argument("--model", action="append", choices=SUBJECTS, help="one of them (repeatable; default: all)")
    parser.add_argument("--json", help="write the medians here too")
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    found: dict[str, Any] = {}
    print(f"{platform.machine()}, 1 thread, torch {torch.__version__}, diffusers {diffusers.__version__}")
    print("| | " + " | ".join(f"{name} computed | {name} skipped" for name in asked.model or SUBJECTS) + " |")
    with torch.no_grad():
        for name in asked.model or SUBJECTS:
            found[name] = {
                way: {kind: statistics.median(times) if times else None for kind, times in attrs.asdict(timed).items()}
                for way, timed in measure(SUBJECTS[name], asked.rounds).items()
            }
    for way in next(iter(found.values())):
        cells = [found[name][way][kind] for name in found for kind in ("computed", "skipped")]
        print(f"| {way} | " + " | ".join("" if cell is None else f"{cell:.3f}" for cell in cells) + " |")
    if asked.json:
        Path(asked.json).write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
