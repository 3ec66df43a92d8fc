"""What an evaluation's figures depend on beside the videos: a figure is kept for a later run while it is the same."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from cachekit_eval.metric import Measure


def conditions_of(metrics: Mapping[str, Measure], *, resize: bool, common_frames: bool) -> dict[str, Any]:
    """Everything that could change a digit, for JSON: how frames are read and fitted, and each metric by itself."""
    return {
        "resize": resize,
        "common_frames": common_frames,
        "evaluator": _package_digest(),
        "libraries": {"av": av.__version__, "opencv": cv2.__version__, "numpy": np.__version__},
        "metrics": {
            name: {**metric.conditions(), "code": _code_digest(type(metric))} for name, metric in metrics.items()
        },
    }


@lru_cache(maxsize=1)
def _package_digest() -> str:
    found = hashlib.sha256()
    for file in sorted(Path(__file__).parent.rglob("*.py")):
        found.update(file.read_bytes())
    return found.hexdigest()[:16]


def _code_digest(kind: type) -> str:
    """A digest of the file that a metric is written in: a figure from before an edit would be another metric's."""
    try:
        file = inspect.getsourcefile(kind)
        return hashlib.sha256(Path(file).read_bytes()).hexdigest()[:16] if file else ""
    except (OSError, TypeError):
        return ""
