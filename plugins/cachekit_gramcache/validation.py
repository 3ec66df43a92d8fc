"""Checks of GramCache's parameters, and of what is asked of it."""

import math
from collections.abc import Sequence
from typing import Any

import attrs
import numpy as np

from cachekit import CachekitError, LinearPredictor, Predictor

LONGEST_HISTORY = 4
"""Residuals that a predictor may keep: 50 steps take 4 seconds to plan with 4, and 20 with 5."""
ROUNDING = 1e-6
"""Asymmetry and negative eigenvalues up to this share of the largest are those of single precision."""


def whole(instance: object, attribute: "attrs.Attribute[Any]", value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"{attribute.name} must be a whole number, not {value!r}")


def plain(value: Any) -> Any:
    """Lists for arrays."""
    return value.tolist() if hasattr(value, "tolist") else value


def linear(predictor: Predictor) -> LinearPredictor:
    """The predictor, refused where its residual is no known combination of computed ones, or one of too many."""
    if not isinstance(predictor, LinearPredictor):
        raise CachekitError(
            f"gramcache plans for predictors that combine residuals with known weights (cachekit.LinearPredictor), "
            f"and {type(predictor).__name__} does not say its weights; use damped, reuse or taylor"
        )
    if predictor.history > LONGEST_HISTORY:
        raise CachekitError(
            f"gramcache plans for predictors of at most {LONGEST_HISTORY} residuals, since the search grows with each, "
            f"and {type(predictor).__name__} keeps {predictor.history}; use one of lower order"
        )
    return predictor


def retained_steps(count: int, steps: int, ratio: float) -> int:
    """How many of the first steps are computed in any case: that share of all, but half of the computed ones at most.

    With few computed steps more would leave too little for the rest.
    """
    return max(1, min(int(steps * ratio), count // 2) if count < steps else int(steps * ratio))


def longest_gap(count: int, steps: int, max_gap: int | None) -> int:
    """The longest stretch of skipped steps that a plan may have, since what a longer one costs is not foreseen well.

    As told, or 1¾ times the way w from one computed step to the next if they were spread evenly; and 0.4 w² where that
    is more, with one computed step in five or fewer: what decides then is lost in the first stretches.
    """
    if max_gap is not None:
        return max_gap
    return max(1, 7 * steps // (4 * count), 2 * steps**2 // (5 * count**2))


def check_count(count: int, steps: int, predictor: LinearPredictor, *, ratio: float, max_gap: int | None) -> None:
    """CachekitError where no pattern of `steps` has `count` computed ones, the retained first ones among them."""
    if count > steps:
        raise CachekitError(f"{count} steps can't be computed of {steps}; set computed to less")

    def needed(count: int) -> dict[str, int]:
        retained, longest = retained_steps(count, steps, ratio), longest_gap(count, steps, max_gap)
        return {
            f"{type(predictor).__name__} predicts from {predictor.history}": min(predictor.history, steps),
            f"they leave a stretch longer than max_gap {longest}": (
                retained + max(0, math.ceil((steps - retained - longest) / (longest + 1)))
            ),
        }

    for reason, least in needed(count).items():
        if count < least:
            least = next(other for other in range(least, steps + 1) if max(needed(other).values()) <= other)
            raise CachekitError(
                f"{count} of {steps} steps are too few to compute, because {reason}; set computed to at least {least} "
                f"(or speedup to at most {math.floor(100 * steps / least) / 100:g})"
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
