"""Outputs of a made-up run, as a body's are: smooth over the steps, and a little rough; their scale falls."""

import numpy as np
import pytest
from cachekit_gramcache.outputs import Outputs


@pytest.fixture
def rows():
    """Normalised outputs of a run of so many steps, `[steps, 40]`."""

    def rows(steps, seed=0):
        rng = np.random.default_rng(seed)
        t = np.linspace(1, 0, steps)[:, None]
        curves = [np.cos(rate * t) @ rng.normal(size=(1, 40)) for rate in (0.5, 2.0, 5.0)]
        return sum(curves) + np.exp(-3 * t) * rng.normal(size=(steps, 40)) / 20

    return rows


@pytest.fixture
def scales():
    """How long those outputs are before they are normalised, `[steps]`."""
    return lambda steps: np.linspace(2, 1, steps)


@pytest.fixture
def outputs(rows, scales):
    """What calibration knows of them."""

    def outputs(steps, seed=0):
        seen = rows(steps, seed)
        return Outputs(seen @ seen.T, scales(steps))

    return outputs


@pytest.fixture
def measured(outputs):
    """What a profile of a made-up model of so many steps holds."""

    def measured(steps, seed=0):
        seen = outputs(steps, seed)
        timesteps = [1000.0 * (1 - i / steps) for i in range(steps)]
        return {"gram": seen.gram.tolist(), "scales": seen.scales.tolist(), "timesteps": timesteps}

    return measured
