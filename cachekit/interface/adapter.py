"""The interface of adapters: where a transformer's body is, and how its blocks take and return hidden states."""

from __future__ import annotations

import dataclasses
import inspect
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from cachekit.errors import CachekitError

if TYPE_CHECKING:
    import torch
    from torch import nn

    from cachekit.interface.residuals import Residual
    from cachekit.interface.span import Span


class Adapter(ABC):
    """Knows one family of transformers by its structure, so that any class of that structure fits.

    The defaults serve a body of one stream whose blocks take the hidden states first and return them; a body of
    several streams overrides `hidden`, `output`, `answer` and `pass_through`. These four are called inside the model's
    forward, traced where that is compiled: they handle tensors and read none.
    """

    probes: ClassVar[tuple[str, ...]] = ()
    """Names that `probe` answers."""
    clone_hidden: ClassVar[bool] = False
    """Whether blocks write into the hidden states they are given, so that the span's input must be copied first."""
    timestep_names: ClassVar[tuple[str, ...]] = ("timestep", "timesteps", "t")
    """What the transformer's forward may call its noise-level input."""
    latents_names: ClassVar[tuple[str, ...]] = ("hidden_states", "x", "img", "sample", "latents")
    """What it may call its latents; where it has none of these names, its first parameter is taken."""

    @classmethod
    @abstractmethod
    def fits(cls, transformer: nn.Module) -> bool:
        """Whether this transformer has the structure that the adapter knows; never raises."""

    @classmethod
    def refusal(cls, transformer: nn.Module) -> str | None:
        """Why a transformer of the framework that this adapter serves does not fit, in a sentence; else None."""
        return None

    @abstractmethod
    def blocks(self, transformer: nn.Module) -> Sequence[nn.Module]:
        """The body's blocks in the order in which they run."""

    @abstractmethod
    def architecture(self, transformer: nn.Module) -> dict[str, object]:
        """Sizes that tell one model of the family from another, as width and depth; a profile's digest is theirs."""

    def traits(self, transformer: nn.Module) -> dict[str, object]:
        """What tells models of the same sizes apart, as far as it is known: `transformer` (class), `checkpoint`."""
        return {"transformer": type(transformer).__name__}

    def check_span(self, span: Span) -> None:
        """CachekitError where blocks before or after this span can't go on without those in it."""
        return

    def call_kind(
        self, signature: inspect.Signature, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Literal["step", "computed", "bare"]:
        """Whether a call of the transformer is a step like any other, one that must be computed, or no step at all.

        A call that writes what later calls read, such as a key-value cache, can't be skipped.
        """
        return "step"

    def hidden(self, span: Span, position: int, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Residual:
        """What the block at `position` is given: a tensor, or a tuple of one for each stream that the span changes."""
        hidden: torch.Tensor = span.argument(position, 0, args, kwargs)
        return hidden

    def output(self, span: Span, returned: Any, hidden: Residual) -> Residual:
        """The same streams, of the shapes of the span's input `hidden`, from what its last block returned."""
        output: Residual = returned
        return output

    def answer(self, span: Span, args: tuple[Any, ...], kwargs: Mapping[str, Any], output: Residual) -> object:
        """What the span's last block, called with these arguments, must return for the model to go on with `output`."""
        return output

    def pass_through(self, span: Span, position: int, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> object:
        """What the block at `position` must return to change nothing."""
        return span.argument(position, 0, args, kwargs)

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
        return named(self.timestep_names, signature, args, kwargs)

    def latents(
        self, signature: inspect.Signature, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> torch.Tensor | None:
        """The latents among the arguments of the transformer's forward; None where it takes no tensor first."""
        import torch

        found = named(self.latents_names, signature, args, kwargs)
        if found is None:
            found = args[0] if args else None
        return found if isinstance(found, torch.Tensor) else None

    def forward_output(self, returned: Any) -> torch.Tensor:
        """The tensor that the transformer's forward returned, alone or first in a tuple or in a framework's output."""
        import torch

        tensor = returned if isinstance(returned, torch.Tensor) else returned[0]
        if not isinstance(tensor, torch.Tensor):
            raise CachekitError(
                f"the transformer returned {type(returned).__name__}, in which {type(self).__name__} finds no tensor; "
                "say where it is in `forward_output` of an adapter of your own"
            )
        return tensor

    def forward_answer(self, returned: Any, output: torch.Tensor) -> Any:
        """What the transformer returned once, with `output` in place of its tensor."""
        if dataclasses.is_dataclass(returned) and not isinstance(returned, type):
            return dataclasses.replace(returned, **{dataclasses.fields(returned)[0].name: output})
        return type(returned)([output, *returned[1:]]) if isinstance(returned, (tuple, list)) else output


def named(names: Sequence[str], signature: inspect.Signature, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """The first of these parameters that was given, by place or by name; None where none was."""
    for name in names:
        found = kwargs.get(name)
        if found is not None:
            return found
    if not args:
        return None
    placed = dict(zip(signature.parameters, args, strict=False))
    return next((placed[name] for name in names if placed.get(name) is not None), None)


def has_modules(module: object, *names: str) -> bool:
    """Whether `module` has a non-empty list of submodules under each of `names`: what `fits` usually asks."""
    return all(len(getattr(module, name, ())) > 0 for name in names)
