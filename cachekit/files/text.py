"""Text from anywhere, made fit to be shown: on one line, with nothing in it that a terminal would obey."""

from __future__ import annotations

_LINE_ENDS = "\t\n\r\v\f\x1c\x1d\x1e\x1f\x85\u2028\u2029"


def plain(text: object, *, keep: str = "") -> str:
    """`text` with every control character, direction mark and lone surrogate written out, except those of `keep`."""
    shown = str(text)
    if shown.isascii() and shown.isprintable():
        return shown
    return "".join(mark if mark in keep or _visible(mark) else _escaped(mark) for mark in shown)


def _visible(character: str) -> bool:
    return character.isprintable() or (character.isspace() and character not in _LINE_ENDS)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
