"""What a call of a small transformer costs under cachekit and under its peers: `python benchmarks/peers.py`.

Wan, FLUX and LTX of diffusers, six or seven blocks each, random weights. All ways take turns in one process, round
after round; what is printed is the median of each, in milliseconds. Each way runs whole denoising loops of a
transformer of its own (the same weights); calls are timed one by one and sorted by whether their blocks ran, which a
hook in a middle block tells. `bare` has no cache, `floor` no blocks on the steps that the planned ways skip. Needs
`pip install 'cachekit-dit[diffusers]'` and, for its row, `pip install cache-dit`.
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
FLOOR = "floor"
PATTERN = "XXX.X.X.X.X."
"""Of the planned ways; the others decide for themselves."""


@attrs.frozen
class Subject:
    """A small transformer, the pipeline that it is of, and what a step calls it with."""

    make: Callable[[], nn.Module]
    inputs: Callable[[], dict[str, Any]]
    pipeline: Callable[[Any, Any], Any]
    """Around a scheduler and a transformer; no other part of it is needed for a step."""
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


def bare_pipeline(kind: Any, **parts: Any) -> Callable[[Any, Any], Any]:
    return lambda scheduler, transformer: kind(scheduler=scheduler, transformer=transformer, **parts)


NO_TEXT = {"tokenizer": None, "text_encoder": None, "vae": None}
SUBJECTS = {
    "Wan": Subject(wan, wan_inputs, bare_pipeline(diffusers.WanPipeline, **NO_TEXT)),
    "FLUX": Subject(
        flux, flux_inputs, bare_pipeline(diffusers.FluxPipeline, **NO_TEXT, tokenizer_2=None, text_encoder_2=None)
    ),
    "LTX": Subject(ltx, ltx_inputs, bare_pipeline(diffusers.LTXPipeline, **NO_TEXT)),
}


def enabled(pipe: Any) -> Any:
    return cachekit.enable(pipe, "fixed", pattern=PATTERN)


def attached(pipe: Any) -> Any:
    return cachekit.attach(pipe.transformer, "fixed", steps=STEPS, pattern=PATTERN)


@contextlib.contextmanager
def with_hook(model: Any, config: Any) -> Iterator[None]:
    """One of diffusers' own caches, put on for one loop."""
    model.enable_cache(config)
    try:
        yield
    finally:
        model.disable_cache()


def magcache(pipe: Any) -> Any:
    config = diffusers.MagCacheConfig(
        threshold=1.0, max_skip_steps=1, retention_ratio=2 / STEPS, num_inference_steps=STEPS, mag_ratios=[1.0] * STEPS
    )
    return with_hook(pipe.transformer, config)


def first_block(pipe: Any) -> Any:
    return with_hook(pipe.transformer, diffusers.FirstBlockCacheConfig(threshold=10.0))


@contextlib.contextmanager
def with_cache_dit(pipe: Any) -> Iterator[None]:
    import cache_dit

    model = pipe.transformer

    config = cache_dit.DBCacheConfig(
        Fn_compute_blocks=1, Bn_compute_blocks=0, residual_diff_threshold=10.0, max_warmup_steps=2,
        max_continuous_cached_steps=1, num_inference_steps=STEPS, enable_separate_cfg=False,
    )  # fmt: skip
    cache_dit.enable_cache(model, cache_config=config)
    try:
        yield
    finally:
        cache_dit.disable_cache(model)


def ways() -> dict[str, Callable[[Any], Any]]:
    """What is done to a pipeline for one loop; in that of the floor, `loop` takes its blocks away on skipped steps."""
    found: dict[str, Callable[[Any], Any]] = {
        "bare": contextlib.nullcontext,
        FLOOR: contextlib.nullcontext,
        "cachekit, enable": enabled,
        "cachekit, attach": attached,
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


def loop(pipe: Any, given: list[dict[str, Any]], ran: list[int], timed: Timed | None, *, floor: bool) -> None:
    """One denoising loop; each call's time goes where its middle block's hook says."""
    pipe.scheduler.set_timesteps(STEPS)
    for step, arguments in enumerate(given):
        before, timestep = len(ran), pipe.scheduler.timesteps[step].expand(1)
        blocks = without_blocks(pipe.transformer) if floor and PATTERN[step] == "." else contextlib.nullcontext()
        with blocks, pipe.transformer.cache_context("cond"):
            start = time.perf_counter()
            pipe.transformer(**arguments, timestep=timestep, return_dict=False)
            elapsed = (time.perf_counter() - start) * 1000
        pipe.scheduler._step_index = step + 1
        if timed is not None:
            (timed.computed if len(ran) > before else timed.skipped).append(elapsed)


def measure(subject: Subject, rounds: int) -> dict[str, Timed]:
    torch.manual_seed(0)
    weights = subject.make().state_dict()
    inputs = subject.inputs()
    pure = inputs.pop(subject.noisy)
    given = [{subject.noisy: pure * (1 - step / STEPS), **inputs} for step in range(STEPS)]
    pipes, ran = {}, {}
    for name in ways():
        model = subject.make().eval().requires_grad_(False)
        model.load_state_dict(weights)
        counter: list[int] = []
        middle = body_of(model).blocks[2]
        inner = next(child for child in middle.modules() if isinstance(child, nn.Linear))
        inner.register_forward_pre_hook(lambda module, args, counter=counter: counter.append(1))
        pipes[name], ran[name] = subject.pipeline(diffusers.FlowMatchEulerDiscreteScheduler(), model), counter
    timed = {name: Timed() for name in pipes}
    names = list(pipes)
    for number in range(-2, rounds):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            with ways()[name](pipes[name]):
                loop(pipes[name], given, ran[name], timed[name] if number >= 0 else None, floor=name == FLOOR)
    return timed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20, help="timed loops of each way (default: 20)")
    parser.add_argument("--model", action="append", choices=SUBJECTS, help="one of them (repeatable; default: all)")
    parser.add_argument("--json", type=Path, help="write the medians here too")
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
        asked.json.write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
