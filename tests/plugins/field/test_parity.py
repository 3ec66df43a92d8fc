"""The field's deciding strategies beside what their public code decides and computes, on one small seeded model."""

import pytest
import torch
from cachekit_adacache import AdaCache
from cachekit_dbcache import DBCache
from cachekit_dicache import DiCache
from cachekit_dicache.alignment import Aligned
from cachekit_easycache import EasyCache
from cachekit_fbcache import FBCache
from cachekit_seacache import SeaCache
from cachekit_seacache.filter import wiener
from cachekit_speca import SpeCa
from field_golden import FOLDER, GROUND, TOLERANCE, cached, denoise, final, model, runs
from safetensors.torch import load_file


def check(name, run, patterns, latents):
    assert patterns == run["patterns"]
    assert (latents - final(name, run)).abs().max() <= TOLERANCE


def named(cases):
    return pytest.mark.parametrize("run", cases, ids=lambda run: run["name"])


def test_the_ground_is_the_one_on_which_the_golden_numbers_were_made():
    assert torch.allclose(denoise(model()), GROUND["final"], atol=1e-6)
    assert torch.allclose(denoise(model(), 3.0), GROUND["final_guidance_3"], atol=1e-6)


@named(runs("fbcache"))
def test_fbcache(run):
    check("fbcache", run, *cached(FBCache(thresh=run["threshold"]), guidance=run["guidance"]))


def dbcache(run):
    return DBCache(
        head=run["Fn_compute_blocks"],
        tail=run["Bn_compute_blocks"],
        thresh=run["residual_diff_threshold"],
        warm_up=run["max_warmup_steps"],
        max_skipped=run.get("max_cached_steps"),
        max_in_a_row=run.get("max_continuous_cached_steps"),
        max_change=run.get("max_accumulated_residual_diff_threshold"),
    )


@named([run for run in runs("dbcache") if run["calibrator"] is None and "warmup_interval" not in run])
def test_dbcache(run):
    check("dbcache", run, *cached(dbcache(run), guidance=run["guidance"], depth=run["depth"]))


@named([run for run in runs("dbcache") if run["calibrator"] == "foca"])
def test_dbcache_with_foca(run):
    check("dbcache", run, *cached(dbcache(run), "foca"))


@named(runs("dicache"))
def test_dicache_as_for_wan(run):
    strategy = DiCache(head=run["probe_depth"], thresh=run["thresh"], retention_ratio=run["ret_ratio"])
    check("dicache", run, *cached(strategy, Aligned(longest=2.0), guidance=run["guidance"]))


@named(runs("dicache", "flux_runs"))
def test_dicache_as_for_flux(run):
    """There the first int(30 · ret_ratio) + 1 steps are forced, and the last."""
    strategy = DiCache(
        head=run["probe_depth"],
        thresh=run["thresh"],
        retention_ratio=(int(30 * run["ret_ratio"]) + 1) / 30,
        force_last=True,
        less_input=run["error_choice"] == "delta_minus",
    )
    check("dicache", run, *cached(strategy, Aligned(longest=1.5)))


@named(runs("easycache"))
def test_easycache(run):
    strategy = EasyCache(thresh=run["thresh"], first=run["ret_steps"])
    check("easycache", run, *cached(strategy, guidance=run["guidance"]))


@named(runs("seacache"))
def test_seacache(run):
    strategy = SeaCache(
        thresh=run["thresh"],
        first=run["first"],
        force_last=run["last_forced"],
        filter_forced=run["filtered_on_forced_steps"],
        grid=(2, 3, 4),
    )
    check("seacache", run, *cached(strategy, guidance=run["guidance"]))


@pytest.mark.parametrize("sigma", [1.0, 0.9, 0.5, 0.1])
def test_seacache_s_filter(sigma):
    golden = load_file(FOLDER / "seacache.safetensors")
    tokens = golden["filter.input"].flatten(1, 3)
    filtered = wiener(tokens, (2, 3, 4), min(sigma, 1 - 1e-6), 3.0)
    assert torch.allclose(filtered, golden[f"filter.out.{sigma}"].flatten(1, 3), atol=TOLERANCE)


def adacache(run):
    return AdaCache(
        inner=3,
        codebook=[(float(change), gap) for change, gap in run["codebook"].items()],
        motion=run["moreg"],
        motion_steps=run["moreg_steps"],
        frames=2,
    )


@named([run for run in runs("adacache") if run["y"] == "zeros"])
def test_adacache(run):
    """Without captions the published measure, a block's attention residual, is the block's whole residual."""
    patterns, latents = cached(adacache(run), captions=torch.zeros_like(GROUND["y"]))
    check("adacache", run | {"patterns": [run["pattern"]]}, patterns, latents)


@named(runs("speca"))
def test_speca_decides_as_published_given_the_errors_of_its_check_layer(run):
    strategy = SpeCa(
        base=run["base_threshold"],
        decay=run["decay_rate"],
        free=run["min_taylor_steps"],
        longest=run["max_taylor_steps"],
        first=run["first_enhance"],
    )
    pattern = ""
    for index, error in enumerate(run["check_error"]):
        compute = strategy.decide(index, len(run["check_error"]))
        pattern += "X" if compute else "."
        assert strategy.checks == (error is not None)
        strategy.note(error)
    assert pattern == run["pattern"]
