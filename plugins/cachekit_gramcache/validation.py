"""Checks of GramCache's parameters, and of what is asked of it."""

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
            f"and {type(predictor).__name__} does not say its weights; use damped, reuse or taylor"
        )
    return predictor


def check_count(count: int, steps: int, predictor: LinearPredictor, *, retained: int, max_gap: int) -> None:
    """CachekitError where no pattern of `steps` has `count` computed ones, the first `retained` among them."""
    least = retained + max(0, math.ceil((steps - retained - max_gap) / (max_gap + 1)))
    if count > steps:
        raise CachekitError(f"{count} steps can't be computed of {steps}; set computed to less")
    if count < min(predictor.history, steps):
        raise CachekitError(
            f"{count} computed steps are fewer than the {predictor.history} that {type(predictor).__name__} predicts "
            "from; compute more, or choose a predictor of lower order"
        )
    if count < retained:
        raise CachekitError(
            f"{count} computed steps are fewer than the first {retained} of {steps}, which retention_ratio has "
            f"computed in any case; compute at least {least}, or set it to less"
        )
    if count < least:
        gap = math.ceil((steps - count) / (count - retained + 1))
        raise CachekitError(
            f"{count} computed steps of {steps}, the first {retained} among them, leave a stretch longer than max_gap "
            f"{max_gap}; compute at least {least}, or set max_gap to {gap} or more"
        )


def check_gram(instance: object, attribute: "attrs.Attribute[Any]", value: Sequence[Any]) -> None:
    """A symmetric positive definite matrix, as inner products of outputs that differ are."""
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
        raise ValueError(f"gram is singular: the output of step {np.diag(gram).argmin()} is zero{advice}")
    eigenvalues = np.linalg.eigvalsh(gram)
    if eigenvalues[0] < -ROUNDING * largest:
        raise ValueError(f"gram is damaged: it has negative eigenvalues, so it is no matrix of inner products{advice}")
    if (eigenvalues > size * np.finfo(np.float64).eps * eigenvalues[-1]).sum() < min(size, 3):
        raise ValueError(
            f"gram is singular: all outputs lie on one line or plane, so every pattern looks right{advice}"
        )


def check_scales(instance: Any, attribute: "attrs.Attribute[Any]", value: Sequence[Any]) -> None:
    """One a row of the Gram matrix, each a length."""
    if not all(isinstance(entry, (int, float)) and math.isfinite(entry) and entry > 0 for entry in value):
        raise ValueError("scales must be finite numbers above 0; calibrate again with `cachekit calibrate gramcache`")
    check_one_a_step(instance, attribute, value)


def check_one_a_step(instance: Any, attribute: "attrs.Attribute[Any]", value: Sequence[Any]) -> None:
    if instance.gram is not None and len(value) != len(instance.gram):
        raise ValueError(
            f"{attribute.name} has {len(value)} entries for the {len(instance.gram)} steps of gram; give one each"
        )


def check_timesteps(instance: Any, attribute: "attrs.Attribute[Any]", value: Sequence[Any]) -> None:
    """One a row of the Gram matrix, finite, all falling or all rising."""
    if not all(isinstance(entry, (int, float)) and math.isfinite(entry) for entry in value):
        raise ValueError("timesteps must be finite numbers")
    check_one_a_step(instance, attribute, value)
    differences = np.diff(value)
    if not ((differences < 0).all() or (differences > 0).all()):
        raise ValueError("timesteps must fall, or rise, from each step to the next")
