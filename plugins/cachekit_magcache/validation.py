"""Checks of MagCache's parameters."""

import math
from collections.abc import Sequence
from typing import Any

import attrs


def check_ratios(instance: object, attribute: "attrs.Attribute[Any]", value: Sequence[Any]) -> None:
    """One list of positive numbers, or such lists of one length, one a branch."""
    lists = list(value) if value and isinstance(value[0], Sequence) else [value]
    if not all(isinstance(entries, Sequence) and len(entries) == len(lists[0]) > 0 for entries in lists):
        raise ValueError("ratios must hold at least one number, and lists of the same length for every branch")
    for entries in lists:
        for index, ratio in enumerate(entries):
            if not isinstance(ratio, (int, float)) or not math.isfinite(ratio) or ratio <= 0:
                raise ValueError(f"ratios must be finite numbers above 0, but entry {index} is {ratio!r}")
