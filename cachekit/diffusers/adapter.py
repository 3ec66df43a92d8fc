"""One adapter for the transformers of diffusers, driven by their structure and by the few lines of `families`."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from cachekit.diffusers.families import WRITING_MODES
from cachekit.diffusers.probes import offered, read
from cachekit.diffusers.structure import Body, Form, body_of
from cachekit.errors import CachekitError
from cachekit.interface.adapter import Adapter, named

if TYPE_CHECKING:
    import torch
    from torch import nn

    from cachekit.interface.residuals import Residual
    from cachekit.interface.span import Span

WIDTHS = ("hidden_size", "dim", "model_dim", "embed_dim", "dit_dim")
"""What a config calls the width where it does not say heads and their width."""
CHANNELS = ("in_channels", "in_dim", "in_visual_dim", "io_channels", "latent_dim")


class DiffusersAdapter(Adapter):
    """Blocks that take and return an image stream, a text stream beside it or joined with it, or two of the image's.

    A skipped step changes the streams that the model reads after its body, and where blocks after the span still run,
    the text's too. Image tokens may be `[B, N, C]` before the span and joined with others, `[B, T+N, C]`, after it.
    """

    timestep_names: ClassVar[tuple[str, ...]] = ("timestep", "timesteps", "t", "vision_timesteps")

    def __init__(self) -> None:
        self._of: nn.Module | None = None
        self._body: Body | None = None
        self._timestep: torch.Tensor | float | None = None

    @classmethod
    def fits(cls, transformer: nn.Module) -> bool:
        return is_diffusers_model(transformer) and cls.refusal(transformer) is None

    @classmethod
    def refusal(cls, transformer: nn.Module) -> str | None:
        if not is_diffusers_model(transformer):
            return None
        try:
            body_of(transformer)
        except CachekitError as error:
            return str(error)
        return None

    def body(self, transformer: nn.Module) -> Body:
        """The structure of this transformer, found once."""
        if self._body is None or self._of is not transformer:
            self._of, self._body = transformer, body_of(transformer)
            self.clone_hidden = self._body.family.copies  # type: ignore[misc]
            self.probes = offered(transformer)  # type: ignore[misc]
        return self._body

    def blocks(self, transformer: nn.Module) -> Sequence[nn.Module]:
        return self.body(transformer).blocks

    def architecture(self, transformer: nn.Module) -> dict[str, object]:
        body = self.body(transformer)
        config = getattr(transformer, "config", {})
        lists = body.lists[-1:] if body.hinted else body.lists
        sizes: dict[str, object] = {"hidden_size": width_of(config), "depth": lists[0][1]}
        if len(lists) > 1:
            sizes["depth_single_blocks"] = lists[1][1]
        sizes["in_channels"] = next((config[name] for name in CHANNELS if config.get(name) is not None), None)
        if config.get("guidance_embeds") is not None:
            sizes["guidance_embeds"] = config["guidance_embeds"]
        return sizes | {name: config.get(name) or 1 for name in body.family.sizes}

    def traits(self, transformer: nn.Module) -> dict[str, object]:
        inner = getattr(transformer, "_orig_mod", transformer)
        config = getattr(inner, "config", {})
        return {"transformer": type(inner).__name__, "checkpoint": config.get("_name_or_path") or None}

    def check_span(self, span: Span) -> None:
        assert self._body is not None
        if span.reaches_end:
            return
        self._body.check_end(span.last)
        after, family = len(span.blocks) - 1 - span.last, self._body.family
        strange = self._form(span.last).text and not self._form(span.first).text
        if family.tail == "none" or strange or (family.tail == "mirrored" and after > span.first):
            reason = family.why or "they read a text stream that the first of those to skip are not given"
            raise CachekitError(
                f"the last {after} blocks of a {self._body.transformer} can't run while those before are skipped: "
                f"{reason}; choose a strategy that skips them too (no `tail`)"
            )

    def timestep(
        self, signature: inspect.Signature, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> torch.Tensor | float | None:
        self._timestep = named(self.timestep_names, signature, args, kwargs)
        return self._timestep

    def call_kind(
        self, signature: inspect.Signature, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Literal["step", "computed", "bare"]:
        """A call that writes a key-value cache, which later calls read, is never skipped."""
        mode, layers = kwargs.get("kv_cache_mode"), kwargs.get("kv_caches")
        if mode is None and layers is not None:
            mode = getattr(layers[0], "mode", None)
        return WRITING_MODES.get(mode, "step") if isinstance(mode, str) else "step"

    def hidden(self, span: Span, position: int, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Residual:
        """The image's streams, and where blocks run after the span, the text's last."""
        args, kwargs = as_split(span.blocks[position], args, kwargs)
        form = self._form(position)
        names = form.streams if span.reaches_end else (*form.streams, *form.text)
        if len(names) == 1:
            lone: torch.Tensor = form.argument(names[0], args, kwargs)
            return lone
        found = [form.argument(name, args, kwargs) for name in names]
        streams = tuple(stream for stream in found if stream is not None)
        return streams if len(streams) > 1 else streams[0]

    def output(self, span: Span, returned: Any, hidden: Residual) -> Residual:
        form = self._form(span.last)
        if not isinstance(hidden, tuple) and not isinstance(returned, tuple):
            return self._image_of(returned, hidden)
        given = dict(zip(form.returns, returned if isinstance(returned, tuple) else (returned,), strict=False))
        inputs = hidden if isinstance(hidden, tuple) else (hidden,)
        image, others = given[form.streams[0]], inputs[1:]
        found: list[Any] = [self._image_of(image, inputs[0])]
        texts = [given[name] for name in (*form.streams[1:], *form.text) if given.get(name) is not None]
        found += texts[: len(others)] if texts else [self._rest_of(image, inputs[0])][: len(others)]
        return tuple(found) if isinstance(hidden, tuple) else found[0]

    def answer(self, span: Span, args: tuple[Any, ...], kwargs: Mapping[str, Any], output: Residual) -> object:
        args, kwargs = as_split(span.blocks[span.last], args, kwargs)
        form = self._form(span.last)
        outputs = list(output) if isinstance(output, tuple) else [output]
        given = form.argument(form.streams[0], args, kwargs)
        image = outputs.pop(0)
        answers: dict[str, Any] = {}
        if len(form.returns) == 1:
            text = outputs[0] if outputs else self._rest_of(given, image)
            return self._joined(given, image, text)
        answers[form.streams[0]] = self._joined(given, image, self._rest_of(given, image))
        for name in (*form.streams[1:], *form.text):
            argument = form.argument(name, args, kwargs)
            answers[name] = outputs.pop(0) if outputs and argument is not None else argument
        return tuple(answers[name] for name in form.returns)

    def pass_through(self, span: Span, position: int, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> object:
        args, kwargs = as_split(span.blocks[position], args, kwargs)
        form = self._form(position)
        if len(form.returns) == 1:
            return form.argument(form.returns[0], args, kwargs)
        return tuple(form.argument(name, args, kwargs) for name in form.returns)

    def forward_output(self, returned: Any) -> torch.Tensor:
        """The one tensor that the transformer returned; one that returns sound too has no one residual."""
        import torch

        values = returned.values() if isinstance(returned, Mapping) else returned
        tensors = [value for value in values if isinstance(value, torch.Tensor)] if isinstance(values, Iterable) else []
        if not isinstance(returned, torch.Tensor) and len(tensors) > 1:
            raise CachekitError(
                f"the transformer returned {len(tensors)} tensors, so its whole call has no one residual; "
                "choose a strategy that skips its blocks"
            )
        return super().forward_output(returned)

    def probe(
        self,
        name: str,
        transformer: nn.Module,
        hidden: Residual,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
    ) -> torch.Tensor:
        found = read(name, transformer, self._form(0), args, kwargs, self._timestep)
        return super().probe(name, transformer, hidden, args, kwargs) if found is None else found

    def _form(self, position: int) -> Form:
        assert self._body is not None
        return self._body.forms[position]

    def _image_of(self, value: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
        """The image tokens, like `image`, of those that a block returned."""
        assert self._body is not None
        if value.shape == image.shape:
            return value
        if self._body.family.turned:
            return turned(value, len(image))
        tokens = image.shape[1]
        return value[:, :tokens] if self._body.family.image_first else value[:, value.shape[1] - tokens :]

    def _rest_of(self, value: torch.Tensor, image: torch.Tensor) -> torch.Tensor | None:
        """The other tokens of a joined stream; None where it is the image's alone."""
        assert self._body is not None
        if value.shape == image.shape or self._body.family.turned:
            return None
        tokens = image.shape[1]
        return value[:, tokens:] if self._body.family.image_first else value[:, : value.shape[1] - tokens]

    def _joined(self, given: torch.Tensor, image: torch.Tensor, text: torch.Tensor | None) -> torch.Tensor:
        """The image's tokens in the layout in which the span's last block was given its stream."""
        import torch

        assert self._body is not None
        if given.shape == image.shape:
            return image
        if self._body.family.turned:
            return turned(image, len(given))
        assert text is not None
        parts = [image, text] if self._body.family.image_first else [text, image]
        return torch.cat(parts, dim=1)


def as_split(
    block: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> tuple[tuple[Any, ...], Mapping[str, Any]]:
    """A block's arguments as it sees them: diffusers' context parallelism may give it this rank's tokens alone.

    That is a hook inside of the block's call (of Wan and Qwen-Image on the first block), which has not run yet.
    """
    registry = block.__dict__.get("_diffusers_hook")
    if registry is None:
        return args, kwargs
    from diffusers.hooks.context_parallel import ContextParallelSplitHook

    for name in reversed(registry._hook_order):
        if isinstance(registry.hooks[name], ContextParallelSplitHook):
            args, kwargs = registry.hooks[name].pre_forward(block, *args, **kwargs)
    return args, kwargs


def turned(value: torch.Tensor, batch: int) -> torch.Tensor:
    """`[B*S, F, C]` as `[B*F, S, C]`, and back."""
    places, frames = len(value), value.shape[1]
    samples = batch // frames
    return value.reshape(samples, places // samples, frames, -1).transpose(1, 2).reshape(batch, -1, value.shape[2])


def width_of(config: Mapping[str, Any]) -> int | None:
    """Width of the image stream, as a config says it."""
    heads, each = config.get("num_attention_heads"), config.get("attention_head_dim")
    if isinstance(heads, int) and isinstance(each, int):
        return heads * each
    return next((config[name] for name in WIDTHS if isinstance(config.get(name), int)), None)


def is_diffusers_model(module: object) -> bool:
    """Whether it is a model of diffusers; where diffusers was never imported nothing is."""
    modeling = sys.modules.get("diffusers.models.modeling_utils")
    return modeling is not None and isinstance(getattr(module, "_orig_mod", module), modeling.ModelMixin)
