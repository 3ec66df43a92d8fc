"""cachekit: step-skipping caches for diffusion transformers, attached from outside.

`attach` puts a strategy to work on a model; `Strategy`, `Predictor`, `Adapter`, `Calibrator` and `Model` are what a
plugin subclasses. All that a plugin or a user needs is imported from here, so that the rooms behind can be rearranged.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cachekit.attaching.attach import attach as attach
    from cachekit.attaching.attach import detach as detach
    from cachekit.attaching.session import Session as Session
    from cachekit.attaching.trace import Trace as Trace
    from cachekit.calibration.calibrating import calibrating as calibrating
    from cachekit.diffusers.enabling import Enabled as Enabled
    from cachekit.diffusers.enabling import disable as disable
    from cachekit.diffusers.enabling import enable as enable
    from cachekit.errors import CachekitError as CachekitError
    from cachekit.errors import CachekitWarning as CachekitWarning
    from cachekit.interface.adapter import Adapter as Adapter
    from cachekit.interface.adapter import has_modules as has_modules
    from cachekit.interface.calibrator import Calibrator as Calibrator
    from cachekit.interface.calibrator import Replay as Replay
    from cachekit.interface.conditions import Conditions as Conditions
    from cachekit.interface.corrector import Corrector as Corrector
    from cachekit.interface.gram import GramCalibrator as GramCalibrator
    from cachekit.interface.hooks import RegisterAdapter as RegisterAdapter
    from cachekit.interface.hooks import RegisterMetric as RegisterMetric
    from cachekit.interface.hooks import RegisterModel as RegisterModel
    from cachekit.interface.hooks import RegisterPredictor as RegisterPredictor
    from cachekit.interface.hooks import RegisterStrategy as RegisterStrategy
    from cachekit.interface.hooks import hookimpl as hookimpl
    from cachekit.interface.model import Model as Model
    from cachekit.interface.model import Pipeline as Pipeline
    from cachekit.interface.predictor import Damped as Damped
    from cachekit.interface.predictor import LinearPredictor as LinearPredictor
    from cachekit.interface.predictor import Predictor as Predictor
    from cachekit.interface.predictor import backward_differences as backward_differences
    from cachekit.interface.progress import Progress as Progress
    from cachekit.interface.residuals import Residual as Residual
    from cachekit.interface.residuals import add as add
    from cachekit.interface.residuals import combine as combine
    from cachekit.interface.residuals import streams as streams
    from cachekit.interface.residuals import subtract as subtract
    from cachekit.interface.sketch import CountSketch as CountSketch
    from cachekit.interface.sketch import sketch as sketch
    from cachekit.interface.span import Span as Span
    from cachekit.interface.step import Step as Step
    from cachekit.interface.strategy import COMPUTED as COMPUTED
    from cachekit.interface.strategy import SKIPPED as SKIPPED
    from cachekit.interface.strategy import UNCACHED as UNCACHED
    from cachekit.interface.strategy import Outlook as Outlook
    from cachekit.interface.strategy import Run as Run
    from cachekit.interface.strategy import Strategy as Strategy
    from cachekit.interface.strategy import measured as measured
    from cachekit.interface.validators import finite as finite
    from cachekit.profiles.profile import Profile as Profile
    from cachekit.registry.parameters import parameter_values as parameter_values

_HOMES = {
    "Adapter": "interface.adapter",
    "COMPUTED": "interface.strategy",
    "CachekitError": "errors",
    "CachekitWarning": "errors",
    "Calibrator": "interface.calibrator",
    "Conditions": "interface.conditions",
    "Corrector": "interface.corrector",
    "CountSketch": "interface.sketch",
    "Damped": "interface.predictor",
    "Enabled": "diffusers.enabling",
    "GramCalibrator": "interface.gram",
    "LinearPredictor": "interface.predictor",
    "Model": "interface.model",
    "Outlook": "interface.strategy",
    "Pipeline": "interface.model",
    "Predictor": "interface.predictor",
    "Profile": "profiles.profile",
    "Progress": "interface.progress",
    "RegisterAdapter": "interface.hooks",
    "RegisterMetric": "interface.hooks",
    "RegisterModel": "interface.hooks",
    "RegisterPredictor": "interface.hooks",
    "RegisterStrategy": "interface.hooks",
    "Replay": "interface.calibrator",
    "Residual": "interface.residuals",
    "Run": "interface.strategy",
    "SKIPPED": "interface.strategy",
    "Session": "attaching.session",
    "Span": "interface.span",
    "Step": "interface.step",
    "Strategy": "interface.strategy",
    "Trace": "attaching.trace",
    "UNCACHED": "interface.strategy",
    "add": "interface.residuals",
    "attach": "attaching.attach",
    "backward_differences": "interface.predictor",
    "calibrating": "calibration.calibrating",
    "combine": "interface.residuals",
    "detach": "attaching.attach",
    "disable": "diffusers.enabling",
    "enable": "diffusers.enabling",
    "finite": "interface.validators",
    "has_modules": "interface.adapter",
    "hookimpl": "interface.hooks",
    "measured": "interface.strategy",
    "parameter_values": "registry.parameters",
    "sketch": "interface.sketch",
    "streams": "interface.residuals",
    "subtract": "interface.residuals",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> object:
    """Import what is asked for, so that `import cachekit` stays light."""
    if name not in _HOMES:
        raise AttributeError(f"module 'cachekit' has no attribute {name!r}")
    return getattr(importlib.import_module(f"cachekit.{_HOMES[name]}"), name)
