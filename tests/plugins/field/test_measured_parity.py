"""The field's measuring strategies beside what their public code plans and computes on one small seeded model."""

from itertools import combinations

import attrs
import numpy as np
import pytest
import torch
from cachekit_budcache.calibrator import central
from cachekit_budcache.search import search
from cachekit_cem import CEM
from cachekit_cem.planning import predicted_errors
from cachekit_dpcache import DPCache
from cachekit_dpcache.planning import path_costs
from cachekit_l2p.calibrator import learn
from cachekit_l2p.learnt import Learnt
from cachekit_lemica.planning import minimax_path
from cachekit_meancache.velocity import Jvp
from cachekit_predictors import Reuse
from cachekit_sencache import SenCache
from field_golden import FOLDER, GROUND, STEPS, TOLERANCE, cached, denoise, final, golden, model, runs
from safetensors.torch import load_file

import cachekit

TIMESTEPS = tuple(GROUND["timesteps"].tolist())


@attrs.define
class Marked(cachekit.Strategy):
    """Computes the steps of a pattern, of the body or of the whole forward."""

    pattern: str = "X"
    scope: str = "body"

    def plan(self, run: cachekit.Run) -> str:
        return self.pattern


def named(cases):
    return pytest.mark.parametrize("run", cases, ids=lambda run: str(run.get("name", run.get("nfe"))))


@pytest.fixture(scope="module")
def outputs():
    """The body's outputs of an uncached run, one a step."""
    transformer, seen = model(), []
    handle = transformer.final.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    denoise(transformer)
    handle.remove()
    return seen


def test_cem_plans_as_published_from_222_tables_of_errors():
    tables = load_file(FOLDER / "cem.safetensors")
    for run in runs("cem"):
        strategy = CEM(
            computed=run["Ns"],
            interval=run["interval"],
            weight=run["weighter"],
            cumulative=run["cumulative"],
            gap_rules=run.get("gap_rules", ()),
        )
        errors = tables[f"errors.{run['errors']}"].double().numpy()
        if run["pattern"] is None:
            with pytest.raises(cachekit.CachekitError, match="finds no pattern"):
                strategy.pattern(errors)
        else:
            assert strategy.pattern(errors) == run["pattern"], run


def test_cem_s_errors_of_reuse_are_the_published_cosines(outputs):
    means = [output.mean(1).flatten().double() for output in outputs]
    unit = torch.stack([mean / mean.norm() for mean in means])
    expected = load_file(FOLDER / "cem.safetensors")["errors.ground_cosine"].numpy()
    assert np.abs(predicted_errors((unit @ unit.T).numpy(), Reuse()) - expected).max() < TOLERANCE


def mean_absolute_errors(features):
    """E[i, j, t] as the port has it."""
    errors = np.full((len(features),) * 3, np.nan)
    for i, j in combinations(range(len(features)), 2):
        for t in range(j + 1, len(features)):
            line = features[j] + (features[j] - features[i]) / (j - i) * (t - j)
            errors[i, j, t] = (line - features[t]).abs().mean()
    return errors


def test_dpcache_plans_as_its_port_from_the_same_errors_and_forecasts_as_it_does(outputs):
    errors = mean_absolute_errors(outputs)
    (probes,) = [run["C_ijk"] for run in runs("dpcache") if run.get("probes") == "output"]
    costs = path_costs(errors)
    for i, j, k, cost in probes:
        assert costs[i, j, k] == pytest.approx(cost, rel=1e-4)
    for run in runs("dpcache"):
        if run.get("feature") != "output":
            continue
        strategy = DPCache(computed=run["full_steps"], force_last=run["force_last"], max_gap=run["max_gap"])
        assert strategy.pattern(errors) == run["pattern"], run
        _, latents = cached(Marked(run["pattern"]), DPCache.predictor)
        assert (latents - final("dpcache", run)).abs().max() <= TOLERANCE, run


def test_l2p_learns_the_published_weights():
    """From inner products alone, and in double precision where theirs is single."""
    rows = []
    for seed in (11, 12, 13):
        transformer, seen = model(), []
        noise = torch.randn(1, 24, 4, generator=torch.Generator().manual_seed(seed))
        handle = transformer.register_forward_hook(lambda module, args, v, seen=seen: seen.append(v.flatten()))
        denoise(transformer, noise=noise)
        handle.remove()
        rows.append(torch.stack(seen).double())
    gram = sum((row @ row.T / row.shape[1]).numpy() for row in rows) / len(rows)
    weights = load_file(FOLDER / "l2p.safetensors")
    assert np.abs(learn(gram, 20) - weights["weights_20"].numpy())[:-1].max() < 2e-3
    assert np.abs(learn(gram) - weights["weights"].numpy())[:-1].max() < 1e-2


@named(runs("l2p"))
def test_l2p_forecasts_as_published_with_the_published_weights(run):
    weights = load_file(FOLDER / "l2p.safetensors")["weights"].tolist()
    patterns, latents = cached(Marked(run["pattern"], "forward"), Learnt(weights))
    assert patterns == [run["pattern"]]
    assert (latents - final("l2p", run)).abs().max() <= TOLERANCE


@named(runs("meancache"))
def test_meancache_carries_the_velocity_on_as_published(run):
    """Branch by branch, where the published code acts on the guided velocity: it comes to the same."""
    predictor = Jvp(windows=run["K"], timesteps=TIMESTEPS)
    patterns, latents = cached(Marked(run["pattern"], "forward"), predictor, guidance=run["guidance"])
    assert set(patterns) == {run["pattern"]}
    assert (latents - final("meancache", run)).abs().max() <= TOLERANCE


@named(runs("sencache"))
def test_sencache(run):
    measured, root = golden("sencache"), GROUND["noise"].numel() ** 0.5
    strategy = SenCache(
        thresh=run["per_element"][1],
        thresh_first=run["per_element"][0],
        K=run["K"],
        forced=run["forced_each_end"],
        latents=measured["J_z"],
        time=[value / root for value in measured["J_t"]],
        timesteps=TIMESTEPS,
    )
    patterns, latents = cached(strategy, guidance=run["guidance"])
    assert patterns == run["patterns"]
    assert (latents - final("sencache", run)).abs().max() <= TOLERANCE


def loss_of(pattern):
    _, latents = cached(Marked(pattern))
    return float((latents - GROUND["final"]).square().mean())


def test_budcache_s_loss_is_the_published_one():
    for run in golden("budcache")["objective"]:
        assert loss_of(run["pattern"]) == pytest.approx(run["loss"], rel=1e-3, abs=1e-9)


@named([run for run in runs("budcache") if run["nfe"] in (8, 6)])
def test_budcache_s_search_finds_a_pattern_no_worse_than_the_published_one_s(run):
    found = search(STEPS, run["nfe"], loss_of)
    assert found.count("X") == run["nfe"]
    assert found.startswith("X" * run["forced_prefix"])
    assert loss_of(found) <= run["found_loss"] * 1.02


def test_budcache_takes_of_several_requests_patterns_the_one_nearest_to_the_others():
    patterns = ["XXX.....", "XX..X...", "XX.X...."]
    assert central(patterns) == "XX.X...."
    assert central(patterns[::-1]) == "XX.X...."
    assert central(["X.....XX"]) == "X.....XX"


def test_lemica_takes_of_all_paths_the_one_whose_worst_edges_are_least():
    """Against every path there is, on seeded weights."""
    generator = np.random.default_rng(0)
    steps, longest = 9, 4
    edges = [sorted(generator.random(min(longest, steps - 1 - step))) for step in range(steps)]

    def weights(path):
        gaps = zip(path, (*path[1:], steps), strict=True)
        found = [edges[a][b - a - 2] if b - a > 1 else 0.0 for a, b in gaps if b - a - 1 <= len(edges[a])]
        return sorted(found, reverse=True) if len(found) == len(path) else None

    for computed in range(2, steps):
        paths = [(0, *rest) for rest in combinations(range(1, steps), computed - 1)]
        rated = {path: weights(path) for path in paths if weights(path) is not None}
        best = min(rated, key=lambda path: rated[path])
        assert weights(minimax_path(edges, computed)) == rated[best]
    assert minimax_path(edges, 1) is None
