"""What is searched: a range for each parameter that the caller leaves free."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import attrs

from cachekit.errors import CachekitError, unknown
from cachekit.registry.grid import split_commas
from cachekit.registry.parameters import parse_settings, public_fields

if TYPE_CHECKING:
    import optuna

BELOW, ABOVE = 8.0, 4.0
"""A float is searched from an eighth of its default to four times it, on a logarithmic scale."""
LARGEST = 2.0**53
"""The ends of a range, up to which every whole number is a float."""
DIGITS = 4
"""Significant digits of a float that is tried, so that the settings file says exactly what was run."""


@attrs.frozen
class Dimension:
    """One parameter, and where it is searched: between two numbers, or among some texts."""

    name: str
    low: float = 0.0
    high: float = 0.0
    whole: bool = False
    options: tuple[str, ...] = ()
    start: float | str | None = attrs.field(default=None, eq=False)
    """What is tried first: the default, where the range was made around it."""

    def suggest(self, trial: optuna.Trial) -> str:
        """A value to try, as the command line writes it."""
        if self.options:
            return str(trial.suggest_categorical(self.name, self.options))
        if self.whole:
            return str(trial.suggest_int(self.name, int(self.low), int(self.high)))
        value = trial.suggest_float(self.name, self.low, self.high, log=self.low > 0)
        return f"{value:.{DIGITS}g}"


def space_of(kind: type, name: str, fixed: Mapping[str, str], searched: Iterable[str]) -> list[Dimension]:
    """The dimensions of a strategy class: those said as `thresh=0.05..0.5` or `K=3,5,7`, and for every other
    parameter with a number for its default a range around it. Measured parameters and `fixed` ones stay.

    Raises CachekitError for an unknown parameter and for a range that is none.
    """
    fields = {field.name: field for field in public_fields(kind)}
    said = parse_settings(searched)
    for key in said:
        if key not in fields:
            raise unknown(f"parameter of {name}", key, fields)
        if key in fixed:
            raise CachekitError(f"the parameter {key!r} is both set and searched; do one of them")
    dimensions = []
    for key, field in fields.items():
        if key in said:
            dimensions.append(_said(key, said[key]))
        elif key not in fixed and not field.metadata.get("measured"):
            guessed = _around(key, field.default)
            dimensions += [guessed] if guessed else []
    if not dimensions:
        raise CachekitError(f"{name} has no parameter left to search; leave some out of --set, or name one by --search")
    return dimensions


def _said(name: str, text: str) -> Dimension:
    if ".." not in text:
        return Dimension(name, options=tuple(split_commas(text)))
    ends = text.split("..")
    try:
        low, high = map(float, ends)
    except ValueError:
        low, high = 1.0, 0.0
    if not -LARGEST <= low < high <= LARGEST:
        raise CachekitError(f"{name}={text} is no range; write it as {name}=0.1..0.5, or options as {name}=1,2,3")
    return Dimension(name, low, high, whole=not any("." in end or "e" in end for end in ends))


def _around(name: str, default: Any) -> Dimension | None:
    if isinstance(default, bool):
        return Dimension(name, options=("false", "true"), start=str(default).lower())
    if isinstance(default, int):
        return Dimension(name, 1, max(3 * default, default + 4), whole=True, start=default)
    if isinstance(default, float) and default > 0:
        return Dimension(name, default / BELOW, default * ABOVE, start=default)
    return None
