"""Validators of parameters that attrs does not have, for strategies and predictors of anyone's."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import attrs


def finite(instance: object, attribute: attrs.Attribute[Any], value: float) -> None:
    """Refuse NaN and infinities, which comparisons alone let through."""
    if not math.isfinite(value):
        raise ValueError(f"{attribute.name} must be a finite number, not {value!r}")
