"""The evaluator: how far a strategy's videos are from the uncached model's, by PSNR, SSIM and LPIPS.

`evaluate(gt, gen)` compares two folders, `evaluate_folders(gt, gens)` several with one; `Metric` (of frames)
and `VideoMetric` (of whole videos) are what a plugin subclasses to bring a metric of its own.
"""

import importlib
from typing import TYPE_CHECKING

from cachekit import RegisterMetric, hookimpl

if TYPE_CHECKING:
    from cachekit_eval.evaluation import evaluate as evaluate
    from cachekit_eval.evaluation import evaluate_folders as evaluate_folders
    from cachekit_eval.metric import Metric as Metric
    from cachekit_eval.metric import MetricUnavailableError as MetricUnavailableError
    from cachekit_eval.metric import VideoMetric as VideoMetric
    from cachekit_eval.results import Evaluation as Evaluation
    from cachekit_eval.results import Failure as Failure
    from cachekit_eval.results import Summary as Summary
    from cachekit_eval.results import Video as Video
    from cachekit_eval.selection import NamedMetric as NamedMetric

_HOMES = {
    "Evaluation": "results",
    "Failure": "results",
    "Metric": "metric",
    "MetricUnavailableError": "metric",
    "NamedMetric": "selection",
    "Summary": "results",
    "Video": "results",
    "VideoMetric": "metric",
    "evaluate": "evaluation",
    "evaluate_folders": "evaluation",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> object:
    """Import what is asked for: this module is loaded as a plugin by commands that evaluate nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module 'cachekit_eval' has no attribute {name!r}")
    return getattr(importlib.import_module(f"cachekit_eval.{_HOMES[name]}"), name)


@hookimpl
def cachekit_metrics(register: RegisterMetric) -> None:
    from cachekit_eval.selection import shipped_metrics

    for name, metric in shipped_metrics().items():
        register(name, metric)
