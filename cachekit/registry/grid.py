"""From specs with sweeps to single settings: a comma is a sweep, and strategies x predictors x values is the grid."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from itertools import product

import attrs

from cachekit.errors import CachekitError
from cachekit.registry.parameters import parse_spec

OWN = "own"
"""Stands among predictors for each strategy's own."""
OPENING, CLOSING = "[(", "])"


@attrs.frozen
class Choice:
    """One strategy or predictor with a value for each field that was given."""

    name: str
    settings: dict[str, str] = attrs.field(factory=dict, hash=False)

    @property
    def spec(self) -> str:
        """As the command line says it: `magcache:thresh=0.1:K=3`."""
        return ":".join([self.name, *(f"{key}={value}" for key, value in self.settings.items())])


def expand(texts: Iterable[str], known: Container[str]) -> list[Choice]:
    """Every choice that these specs stand for, each once, in their order.

    `magcache:thresh=0.1,0.2:K=3,5` is four; `reuse,taylor:order=1,2` is three: what follows a comma is another name
    where it is one of `known`, and another value of the last field elsewhere. Commas in brackets stay.
    """
    choices = [choice for text in texts for part in _split_names(text, known) for choice in _sweep(part)]
    return list({choice.spec: choice for choice in choices}.values())


def grid(strategies: Iterable[Choice], predictors: Iterable[Choice]) -> list[tuple[Choice, Choice | None]]:
    """Each strategy with each predictor; with its own (None) where that is asked for or no predictor is named."""
    filling: list[Choice | None] = [None if predictor.name == OWN else predictor for predictor in predictors]
    return list(product(strategies, filling or [None]))


def _split_names(text: str, known: Container[str]) -> list[str]:
    parts: list[str] = []
    for piece in split_commas(text):
        begins = piece.partition(":")[0].strip() in known or not parts or "=" not in parts[-1]
        if begins:
            parts.append(piece)
        else:
            parts[-1] += f",{piece}"
    return parts


def _sweep(text: str) -> list[Choice]:
    name, settings = parse_spec(text)
    values: Mapping[str, list[str]] = {key: split_commas(value) for key, value in settings.items()}
    for key, options in values.items():
        if not all(option.strip() for option in options):
            raise CachekitError(
                f"the sweep {key}={settings[key]!r} of {name} has an empty value; write one between commas"
            )
    return [Choice(name, dict(zip(values, combination, strict=True))) for combination in product(*values.values())]


def split_commas(text: str) -> list[str]:
    """The text cut at its commas, except those in brackets."""
    pieces, depth = [""], 0
    for character in text:
        depth += (character in OPENING) - (character in CLOSING)
        if character == "," and depth <= 0:
            pieces.append("")
        else:
            pieces[-1] += character
    return [piece.strip() for piece in pieces]
