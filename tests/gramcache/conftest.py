"""Residuals of a made-up run, as a body's are: smooth over the steps, and a little rough."""

import numpy as np
import pytest


@pytest.fixture
def residuals():
    """Residuals of a run of so many steps, `[steps, 40]`."""

    def residuals(steps, seed=0):
        rng = np.random.default_rng(seed)
        t = np.linspace(1, 0, steps)[:, None]
        curves = [np.cos(rate * t) @ rng.normal(size=(1, 40)) for rate in (0.5, 2.0, 5.0)]
        return sum(curves) + np.exp(-3 * t) * rng.normal(size=(steps, 40)) / 20

    return residuals


@pytest.fixture
def measured(residuals):
    """What a profile of a made-up model of so many steps holds."""

    def measured(steps, seed=0):
        rows = residuals(steps, seed)
        return {"gram": (rows @ rows.T).tolist(), "timesteps": [1000.0 * (1 - i / steps) for i in range(steps)]}

    return measured
