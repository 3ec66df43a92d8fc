"""What calls of the transformer were given, remembered to tell whether another call was given the same."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    import torch


@attrs.frozen(eq=False)
class Given:
    """A tensor that a call was given, kept to tell whether another was given the same."""

    tensor: torch.Tensor
    version: int

    @classmethod
    def of(cls, tensor: torch.Tensor | None) -> Given | None:
        return None if tensor is None else cls(tensor, version(tensor))

    def equal(self, other: torch.Tensor | None) -> bool:
        """Whether `other` holds the same numbers; another tensor's are compared, which on a GPU waits."""
        import torch

        if other is None or other is self.tensor:
            return other is not None and version(other) == self.version
        mine = self.tensor
        alike = (other.shape, other.dtype, other.device) == (mine.shape, mine.dtype, mine.device)
        return alike and version(mine) == self.version and torch.equal(other, mine)


@attrs.define(eq=False)
class Argument:
    """An argument that a call was given, remembered without holding it."""

    there: Callable[[], object]
    version: int

    @classmethod
    def of_all(cls, values: Sequence[object]) -> tuple[Argument, ...]:
        """All that a call was given."""
        import torch

        return tuple(
            cls(weakref.ref(value), version(value)) if isinstance(value, torch.Tensor) else cls.of_other(value)
            for value in values
        )

    @classmethod
    def of_other(cls, value: object) -> Argument:
        """What is no tensor: held where that costs nothing, else like no other."""
        held = value if is_plain(value) else NEVER
        return cls(lambda: held, 0)

    def still(self, value: object) -> bool:
        """Whether `value` is the very same, and unchanged since."""
        import torch

        written = version(value) if isinstance(value, torch.Tensor) else 0
        return self.there() is value and self.version == written

    def same(self, value: object) -> bool:
        """Whether `value` is the very same, or a tensor of the same numbers; comparing them waits on a GPU."""
        import torch

        if self.still(value):
            return True
        known = self.there()
        if not isinstance(known, torch.Tensor) or not isinstance(value, torch.Tensor) or known is value:
            return False
        return version(known) == self.version and Given(known, self.version).equal(value)


def is_plain(value: object) -> bool:
    """Whether an argument is a number, a word, or a list of those, which to hold costs nothing."""
    if isinstance(value, (list, tuple)):
        return all(map(is_plain, value))
    return value is None or isinstance(value, (bool, int, float, str))


NEVER = object()
"""What no argument is: in place of those that can't be remembered without holding them."""


def version(tensor: torch.Tensor) -> int:
    """How often it was written to; 0 in inference mode, where torch does not count."""
    return 0 if tensor.is_inference() else tensor._version


@attrs.define(eq=False)
class Conditions:
    """What the calls of one guidance branch are given beside latents and timestep: the caption, most of all."""

    arguments: tuple[Argument, ...]
    """Of its latest call."""
    steady: frozenset[int] | None = None
    """Places of the tensors that all its calls were given; None until it has made two."""

    def fit(self, arguments: Sequence[object], places: frozenset[int] | None = None) -> bool | None:
        """Whether a call given these is this branch's; None where nothing is steady that would show it.

        `places` are those to go by where the branch has made but one call.
        """
        steady = places if self.steady is None else self.steady
        if not steady or len(arguments) != len(self.arguments):
            return None
        return all(self.arguments[place].same(arguments[place]) for place in steady)

    def follow(self, arguments: Sequence[object], remembered: tuple[Argument, ...]) -> None:
        """The branch has made another call, given these."""
        import torch

        still = {
            place
            for place, (before, now) in enumerate(zip(self.arguments, arguments, strict=False))
            if isinstance(now, torch.Tensor) and before.still(now)
        }
        self.steady = frozenset(still if self.steady is None else still & self.steady)
        self.arguments = remembered
