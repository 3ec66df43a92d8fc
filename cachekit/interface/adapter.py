"""The interface of adapters: where a transformer's body is, and how its blocks take and return hidden states."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from cachekit.errors import CachekitError

if TYPE_CHECKING:
    import torch
    from torch import nn

    from cachekit.interface.residuals import Residual


class Adapter(ABC):
    """Knows one family of transformers by its structure, so that any class of that structure fits.

    The defaults serve a body of one stream whose blocks take the hidden states first and return them; a body of
    several streams overrides `hidden`, `body_output`, `hand_on` and `pass_through`.
    """

    probes: ClassVar[tuple[str, ...]] = ()
    """Names that `probe` answers."""
    clone_hidden: ClassVar[bool] = False
    """Whether blocks write into the hidden states they are given, so that the body's input must be copied first."""
    timestep_names: ClassVar[tuple[str, ...]] = ("timestep", "timesteps", "t")
    """What the transformer's forward may call its noise-level input."""

    @classmethod
    @abstractmethod
    def fits(cls, transformer: nn.Module) -> bool:
        """Whether this transformer has the structure that the adapter knows; never raises."""

    @abstractmethod
    def blocks(self, transformer: nn.Module) -> Sequence[nn.Module]:
        """The body's blocks in the order in which they run."""

    @abstractmethod
    def architecture(self, transformer: nn.Module) -> dict[str, object]:
        """Sizes that tell one model of the family from another, as width and depth; a profile's digest is theirs."""

    def hidden(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Residual:
        """The body's input, from the arguments of the first block."""
        hidden: torch.Tensor = args[0]
        return hidden

    def body_output(self, returned: Any, hidden: Residual) -> Residual:
        """The body's output, of the streams and shapes of its input `hidden`, from what the last block returned."""
        output: Residual = returned
        return output

    def hand_on(self, args: tuple[Any, ...], kwargs: Mapping[str, Any], hidden: Residual) -> object:
        """What the first block must return so that the model goes on with `hidden`."""
        return hidden

    def pass_through(self, position: int, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> object:
        """What the block at `position` must return to change nothing."""
        return args[0]

    def probe(
        self,
        name: str,
        transformer: nn.Module,
        hidden: Residual,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
    ) -> torch.Tensor:
        """The probe `name`, from the body's input and the arguments of the first block."""
        raise CachekitError(f"{type(self).__name__} has no probe {name!r}; it has {', '.join(self.probes) or 'none'}")

    def timestep(
        self, signature: inspect.Signature, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> torch.Tensor | float | None:
        """The noise-level input among the arguments of the transformer's forward; None where it takes none."""
        given = signature.bind_partial(*args, **kwargs).arguments
        given.update(given.pop("kwargs", {}))
        return next((given[name] for name in self.timestep_names if given.get(name) is not None), None)


def has_modules(module: object, *names: str) -> bool:
    """Whether `module` has a non-empty list of submodules under each of `names`: what `fits` usually asks."""
    return all(len(getattr(module, name, ())) > 0 for name in names)
