"""cachekit: step-skipping caches for diffusion transformers, attached from outside.

`attach` puts a strategy to work on a model; `Strategy`, `Predictor` and `Adapter` are what a plugin subclasses.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cachekit.adapter import Adapter as Adapter
    from cachekit.attaching import attach as attach
    from cachekit.calibration import Calibrator as Calibrator
    from cachekit.calibration import Conditions as Conditions
    from cachekit.errors import CachekitError as CachekitError
    from cachekit.errors import CachekitWarning as CachekitWarning
    from cachekit.hooks import hookimpl as hookimpl
    from cachekit.model import Model as Model
    from cachekit.model import Pipeline as Pipeline
    from cachekit.predictors import LinearPredictor as LinearPredictor
    from cachekit.predictors import Predictor as Predictor
    from cachekit.profiles import Profile as Profile
    from cachekit.session import Session as Session
    from cachekit.strategy import Outlook as Outlook
    from cachekit.strategy import Run as Run
    from cachekit.strategy import Step as Step
    from cachekit.strategy import Strategy as Strategy
    from cachekit.strategy import measured as measured
    from cachekit.trace import Trace as Trace

_HOMES = {
    "Adapter": "adapter",
    "Calibrator": "calibration",
    "Conditions": "calibration",
    "CachekitError": "errors",
    "CachekitWarning": "errors",
    "LinearPredictor": "predictors",
    "Model": "model",
    "Outlook": "strategy",
    "Pipeline": "model",
    "Predictor": "predictors",
    "Profile": "profiles",
    "Run": "strategy",
    "Session": "session",
    "Step": "strategy",
    "Strategy": "strategy",
    "Trace": "trace",
    "attach": "attaching",
    "hookimpl": "hooks",
    "measured": "strategy",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> object:
    """Import what is asked for, so that `import cachekit` stays light."""
    if name not in _HOMES:
        raise AttributeError(f"module 'cachekit' has no attribute {name!r}")
    return getattr(importlib.import_module(f"cachekit.{_HOMES[name]}"), name)
