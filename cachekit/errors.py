"""What cachekit says when a request can't be met."""

import difflib
from collections.abc import Iterable


class CachekitError(ValueError):
    """A fault of the request, told in one sentence that says what to do; the command line exits with 2."""


class StoppedError(CachekitError):
    """The work can't go on, through no fault of the request: a full disk, a folder taken away; exit status 1."""


class CachekitWarning(UserWarning):
    """Something the user should know before relying on a result, told in one sentence."""


def unknown(kind: str, name: str, known: Iterable[str]) -> CachekitError:
    """The error for a name that is not registered: the closest names first, then all."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    guess = f"did you mean {' or '.join(map(repr, close))}? " if close else ""
    there = f"there are {', '.join(names)}" if names else "there are none"
    return CachekitError(f"no {kind} named {name!r}; {guess}{there}")
