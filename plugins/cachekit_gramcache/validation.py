"""Checks of GramCache's parameters."""

import math
from collections.abc import Sequence
from typing import Any

import attrs
import numpy as np

from cachekit.errors import CachekitError
from cachekit.predictors import LinearPredictor, Predictor

ROUNDING = 1e-6
"""Asymmetry and negative eigenvalues up to this share of the largest are those of single precision."""


def finite(instance: object, attribute: "attrs.Attribute[Any]", value: float) -> None:
    """Refuse NaN and infinities, which comparisons alone let through."""
    if not math.isfinite(value):
        raise ValueError(f"{attribute.name} must be a finite number, not {value!r}")


def whole(instance: object, attribute: "attrs.Attribute[Any]", value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"{attribute.name} must be a whole number, not {value!r}")


def linear(predictor: Predictor) -> LinearPredictor:
    """The predictor, refused where its residual is no known combination of computed ones."""
    if not isinstance(predictor, LinearPredictor):
        raise CachekitError(
            f"gramcache plans for predictors that combine residuals with known weights (cachekit.LinearPredictor), "
            f"and {type(predictor).__name__} does not say its weights; use reuse or taylor"
        )
    return predictor


def check_gram(instance: object, attribute: "attrs.Attribute[Any]", value: Sequence[Any]) -> None:
    """A symmetric positive definite matrix, as inner products of residuals that differ are."""
    advice = "; calibrate again with `cachekit calibrate gramcache`"
    size = len(value)
    if size < 2 or not all(isinstance(row, Sequence) and len(row) == size for row in value):
        raise ValueError(f"gram must be a square matrix of at least 2 steps{advice}")
    if not all(isinstance(entry, (int, float)) and math.isfinite(entry) for row in value for entry in row):
        raise ValueError(f"gram must hold finite numbers alone{advice}")
    gram = np.array(value, dtype=np.float64)
    largest = np.abs(gram).max()
    if np.abs(gram - gram.T).max() > ROUNDING * largest:
        raise ValueError(f"gram is damaged: it is not symmetric{advice}")
    if np.diag(gram).min() <= 0:
        raise ValueError(f"gram is singular: the residual of step {np.diag(gram).argmin()} is zero{advice}")
    eigenvalues = np.linalg.eigvalsh(gram)
    if eigenvalues[0] < -ROUNDING * largest:
        raise ValueError(f"gram is damaged: it has negative eigenvalues, so it is no matrix of inner products{advice}")
    if (eigenvalues > size * np.finfo(np.float64).eps * eigenvalues[-1]).sum() < min(size, 3):
        raise ValueError(
            f"gram is singular: all residuals lie on one line or plane, so every pattern looks right{advice}"
        )


def check_timesteps(instance: Any, attribute: "attrs.Attribute[Any]", value: Sequence[Any]) -> None:
    """One a row of the Gram matrix, finite, all falling or all rising."""
    if not all(isinstance(entry, (int, float)) and math.isfinite(entry) for entry in value):
        raise ValueError("timesteps must be finite numbers")
    if instance.gram is not None and len(value) != len(instance.gram):
        raise ValueError(
            f"timesteps has {len(value)} entries for the {len(instance.gram)} steps of gram; give one each"
        )
    differences = np.diff(value)
    if not ((differences < 0).all() or (differences > 0).all()):
        raise ValueError("timesteps must fall, or rise, from each step to the next")
