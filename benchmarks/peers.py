"""What a call of a small transformer costs under cachekit and under its peers: `python benchmarks/peers.py`.

Wan, FLUX and LTX of diffusers, six or seven blocks each, random weights. All ways go through the same denoising loop
side by side: at each step each makes its call, in an order drawn anew, so that what is compared was measured within a
tenth of a second. Each has a transformer and a pipeline of its own around one set of weights. A call whose blocks ran
(a hook in a middle block tells) is held against the bare call of the same step, one that skipped them against `floor`,
the same forward with its blocks replaced by nothing; of such pairs the median ratio and its bounds are given, as
`cachekit bench` does. `bare again` is bare: what it differs by is what this can't tell apart. Times are the thread's
own on its processor: it never waits, and other work on the machine does not count. Needs
`pip install 'cachekit-dit[diffusers]'` and, for its row, `pip install cache-dit`.
"""

from __future__ import annotations

import contextlib
import gc
import json
import logging
import random
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import click
import diffusers
import torch
from torch import nn

import cachekit
from cachekit.attaching.benchmark import Timings, keep_freed_memory, twin, without_blocks
from cachekit.diffusers.structure import body_of

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.going_on import gone_on

WIDTH, STEPS = 128, 12
BARE, FLOOR, OURS = "bare", "floor", "cachekit, enable"
PATTERN = "XXX.X.X.X.X."
"""Of the planned ways; the others decide for themselves."""
WARM_UP = 2
"""Loops before the first that counts."""
DISPLACED = 2**24
"""Bytes written before each call, as many as a computed step of these models reads and writes: so no call finds in the
processor's caches what the one before happened to leave there."""


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
        threshold=1.0, max_skip_steps=1, retention_ratio=3 / STEPS, num_inference_steps=STEPS, mag_ratios=[1.0] * STEPS
    )
    return with_hook(pipe.transformer, config)


def first_block(pipe: Any) -> Any:
    return with_hook(pipe.transformer, diffusers.FirstBlockCacheConfig(threshold=10.0))


@contextlib.contextmanager
def with_cache_dit(pipe: Any) -> Iterator[None]:
    import cache_dit

    model = pipe.transformer

    config = cache_dit.DBCacheConfig(
        Fn_compute_blocks=1, Bn_compute_blocks=0, residual_diff_threshold=10.0, max_warmup_steps=3,
        max_continuous_cached_steps=1, num_inference_steps=STEPS, enable_separate_cfg=False,
    )  # fmt: skip
    cache_dit.enable_cache(model, cache_config=config)
    try:
        yield
    finally:
        cache_dit.disable_cache(model)


def ways() -> dict[str, Callable[[Any], Any]]:
    """What is done to a pipeline for one loop."""
    found: dict[str, Callable[[Any], Any]] = {
        BARE: contextlib.nullcontext,
        "bare again": contextlib.nullcontext,
        FLOOR: lambda pipe: without_blocks(pipe.transformer),
        OURS: enabled,
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
    logging.getLogger(module.__name__.upper()).setLevel(logging.ERROR)
    for name in list(logging.root.manager.loggerDict):
        if "cache_dit" in name.lower():
            logging.getLogger(name).setLevel(logging.ERROR)


@attrs.frozen
class Timed:
    """One call."""

    milliseconds: float
    """Of the processor."""
    ran: bool
    """Whether its blocks did."""


Round = dict[str, list[Timed]]
"""Of each way its calls, step by step."""


@attrs.frozen
class Side:
    """A way's own pipeline, and what its middle block has counted."""

    pipe: Any
    ran: list[int]

    @classmethod
    def of(cls, subject: Subject, model: nn.Module) -> Side:
        ran: list[int] = []
        inner = next(child for child in body_of(model).blocks[2].modules() if isinstance(child, nn.Linear))
        inner.register_forward_pre_hook(lambda module, args: ran.append(1))
        return cls(subject.pipeline(diffusers.FlowMatchEulerDiscreteScheduler(), model), ran)

    def call(self, step: int, arguments: dict[str, Any]) -> Timed:
        """This step's call of the transformer, as its pipeline makes it."""
        before, transformer = len(self.ran), self.pipe.transformer
        timestep = self.pipe.scheduler.timesteps[step].expand(1)
        with transformer.cache_context("cond"):
            start = time.thread_time()
            transformer(**arguments, timestep=timestep, return_dict=False)
            elapsed = (time.thread_time() - start) * 1000
        self.pipe.scheduler._step_index = step + 1
        return Timed(elapsed, len(self.ran) > before)


def one_round(sides: dict[str, Side], given: list[dict[str, Any]], draw: random.Random, scratch: torch.Tensor) -> Round:
    """One denoising loop of all ways, side by side."""
    found: Round = {name: [] for name in sides}
    names = list(sides)
    with contextlib.ExitStack() as stack:
        for name, way in ways().items():
            sides[name].pipe.scheduler.set_timesteps(STEPS)
            stack.enter_context(way(sides[name].pipe))
        for step, arguments in enumerate(given):
            draw.shuffle(names)
            for name in names:
                scratch.add_(1)
                found[name].append(sides[name].call(step, arguments))
    return found


def measure(subject: Subject, rounds: int) -> list[Round]:
    torch.manual_seed(0)
    model = subject.make().eval().requires_grad_(False)
    inputs = subject.inputs()
    pure = inputs.pop(subject.noisy)
    given = [{subject.noisy: pure * (1 - step / STEPS), **inputs} for step in range(STEPS)]
    sides = {name: Side.of(subject, twin(model)) for name in ways()}
    draw, scratch = random.Random(0), torch.zeros(DISPLACED // 4)
    found = []
    gc.disable()
    for number in range(-WARM_UP, rounds):
        gc.collect()
        timed = one_round(sides, given, draw, scratch)
        if number >= 0:
            found.append(timed)
    gc.enable()
    return found


def figures(rounds: list[Round], way: str) -> dict[str, Any]:
    """A way's medians in ms and its ratios to bare, to the floor and, of its skipped calls, those of ours to it."""
    calls = [(one, timed[BARE][step], timed[FLOOR][step], timed[OURS][step])
             for timed in rounds for step, one in enumerate(timed[way])]  # fmt: skip
    computed = [(one, bare) for one, bare, _, _ in calls if one.ran]
    skipped = [(one, floor) for one, _, floor, _ in calls if not one.ran]
    beside = [(ours, one) for one, _, _, ours in calls if not one.ran and not ours.ran]
    return {
        "computed": middle(computed),
        "computed_over_bare": ratio(computed) if way != BARE else None,
        "skipped": middle(skipped),
        "skipped_over_floor": ratio(skipped) if way != FLOOR else None,
        "ours_over_skipped": ratio(beside) if way not in (OURS, FLOOR) else None,
    }


def middle(pairs: list[tuple[Timed, Timed]]) -> float | None:
    return statistics.median(one.milliseconds for one, _ in pairs) if pairs else None


def ratio(pairs: list[tuple[Timed, Timed]]) -> dict[str, float] | None:
    """The median of the pairs' ratios, and its bounds."""
    if not pairs:
        return None
    both = {"one": [one.milliseconds for one, _ in pairs], "other": [other.milliseconds for _, other in pairs]}
    return attrs.asdict(Timings(both).ratio("one", "other"))


@click.command()
@click.option("--rounds", default=48, show_default=True, help="Timed loops.")
@click.option("--model", "models", multiple=True, type=click.Choice(list(SUBJECTS)), help="One of them (repeatable).")
@click.option("--work", type=click.Path(path_type=Path, file_okay=False), help="Keep each model's there, and go on.")
@click.option("--json", "json_file", type=click.Path(path_type=Path, dir_okay=False), help="Write the figures to FILE.")
def main(rounds: int, models: tuple[str, ...], work: Path | None, json_file: Path | None) -> None:
    """What a computed and a skipped call cost, by cachekit and by its peers, side by side."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    keep_freed_memory()

    def look(name: str) -> Any:
        with torch.no_grad():
            timed = measure(SUBJECTS[name], rounds)
        return {way: figures(timed, way) for way in timed[0]}

    found = gone_on(models or tuple(SUBJECTS), look, work, json_file)
    for name, ways_of in found.items():
        for way, one in ways_of.items():
            click.echo(f"{name}, {way}: {json.dumps(one)}")


if __name__ == "__main__":
    main()
