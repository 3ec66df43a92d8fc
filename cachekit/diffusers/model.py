"""A diffusers pipeline as a model of the commands: `--model diffusers:path=DIR`."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import unquote

import attrs
import safetensors

from cachekit.diffusers.adapter import DiffusersAdapter
from cachekit.diffusers.arguments import call_arguments
from cachekit.errors import CachekitError
from cachekit.files.reading import parse_json, read_text, shortened
from cachekit.files.structuring import structure
from cachekit.files.writing import reason
from cachekit.generation.bounds import check_memory, frame_rate
from cachekit.interface.model import Model

if TYPE_CHECKING:
    from cachekit.diffusers.pipeline import DiffusersPipeline

MISSING = "the model 'diffusers' needs diffusers and transformers: pip install 'cachekit-dit[diffusers]'"
VIDEO_ARGUMENTS = ("num_frames", "frames", "video_length")
"""Arguments by which a pipeline's call shows that it makes videos."""
STORED = {"F32": "float32", "BF16": "bfloat16", "F16": "float16"}


@attrs.define(slots=False)
class DiffusersModel(Model):
    """Any pipeline of diffusers with a transformer, from a folder or by its name on the hub."""

    example_prompts: ClassVar[tuple[str, ...]] = (
        "a red fox trotting through fresh snow at dawn",
        "a lighthouse on a cliff in a storm, waves breaking",
    )
    calibration_prompts: ClassVar[tuple[str, ...]] = (
        "a steam train crosses a stone bridge over a green valley",
        "an old woman kneads dough at a kitchen table by the window",
    )
    """Others than the examples, which answers are checked on."""

    path: str = attrs.field(metadata={"help": "folder that save_pretrained wrote, or a name on the hub"})
    pipeline: str | None = attrs.field(
        default=None, metadata={"help": "the pipeline's class, in place of the folder's"}
    )
    arguments: str = attrs.field(
        default="", metadata={"help": "what its call is given, height=480;num_frames=81 (see --pipeline-arg)"}
    )
    fps: float = frame_rate(16.0)
    offload: bool = attrs.field(default=False, metadata={"help": "keep what is not at work off the GPU"})

    def __attrs_post_init__(self) -> None:
        _ = self.call_arguments  # what can't be is said before anything is planned or loaded

    @cached_property
    def call_arguments(self) -> dict[str, Any]:
        """The arguments of the pipeline's call, as words of the command line say them."""
        return call_arguments(self.kind, [unquote(word) for word in self.arguments.split(";") if word])

    @cached_property
    def folder(self) -> Path:
        """The folder; of a name on the hub, where diffusers has downloaded it to."""
        local = Path(self.path)
        if is_folder(local):
            try:
                whole = (local / "model_index.json").is_file()
            except OSError as error:
                raise CachekitError(f"the folder {self.path!r} can't be read: {reason(error)}") from error
            if not whole:
                raise CachekitError(
                    f"the folder {self.path!r} holds no model_index.json, so it is no diffusers pipeline"
                )
            return local
        diffusers = imported()
        try:
            return Path(diffusers.DiffusionPipeline.download(self.path))
        except Exception as error:  # of the hub, the network or the name
            raise CachekitError(
                f"there is no folder {shortened(repr(self.path), 200)}, and diffusers could not download a pipeline of "
                f"that name ({type(error).__name__}); check the path"
            ) from error

    @cached_property
    def index(self) -> dict[str, Any]:
        """What the folder says its parts are."""
        return self._config("model_index.json")

    @cached_property
    def kind(self) -> type[Any]:
        """The pipeline's class."""
        name = self.pipeline or self.index.get("_class_name")
        found = getattr(imported(), name, None) if isinstance(name, str) else None
        if not isinstance(found, type) or not issubclass(found, imported().DiffusionPipeline):
            raise CachekitError(
                f"diffusers has no pipeline {shortened(repr(name))}; name one with --model diffusers:...:pipeline=Class"
            )
        return found

    @cached_property
    def bare_transformer(self) -> Any:
        """The transformer of these sizes without any weights."""
        from accelerate import init_empty_weights  # type: ignore[import-untyped]

        library, name = self._part("transformer")
        found = getattr(imported(), name, None) if library == "diffusers" else None
        if found is None:
            raise CachekitError(f"the transformer of {self.path!r} is a {name} of {library}, which is not known here")
        with init_empty_weights():
            return found.from_config(self._config("transformer/config.json"))

    @property
    def transformer_class(self) -> str:  # type: ignore[override]
        return self._part("transformer")[1]

    @property
    def sampler(self) -> str:  # type: ignore[override]
        return self._part("scheduler")[1]

    @property
    def steps(self) -> int:  # type: ignore[override]
        from cachekit.diffusers.enabling import default_steps

        return default_steps(self.kind)

    @property
    def guidance_scale(self) -> float:  # type: ignore[override]
        default = self._default("guidance_scale")
        return float(default) if isinstance(default, (int, float)) else 1.0

    @property
    def dtype(self) -> str:  # type: ignore[override]
        """The type in which the transformer's weights are stored."""
        for file in sorted((self.folder / "transformer").glob("*.safetensors")):
            try:
                with safetensors.safe_open(file, "pt") as opened:
                    stored = {opened.get_slice(name).get_dtype() for name in opened.keys()}  # noqa: SIM118
            except (OSError, safetensors.SafetensorError) as error:
                raise CachekitError(f"the weights {str(file)!r} can't be read ({error}); save them anew") from error
            return next((STORED[kind] for kind in ("BF16", "F16", "F32") if kind in stored), "float32")
        return "float32"

    @property
    def images(self) -> bool:  # type: ignore[override]
        parameters = inspect.signature(self.kind.__call__).parameters
        return not any(name in parameters for name in VIDEO_ARGUMENTS)

    def architecture(self) -> dict[str, object]:
        return DiffusersAdapter().architecture(self.bare_transformer)

    def traits(self) -> dict[str, object]:
        return {
            "transformer": self.transformer_class,
            "checkpoint": str(self.path),
            "boundary_ratio": self.index.get("boundary_ratio"),
            "pipeline": self.kind.__name__,
        }

    def timesteps(self, steps: int) -> tuple[float, ...]:
        """Those of its scheduler; a schedule that depends on the size is that of the scheduler's middle shift."""
        scheduler = self._scheduler()
        shifted = {"mu": 0.8} if getattr(scheduler.config, "use_dynamic_shifting", False) else {}
        scheduler.set_timesteps(steps, **shifted)
        return tuple(scheduler.timesteps.float().tolist())[:steps]

    @property
    def euler(self) -> bool:
        from cachekit.diffusers.clock import is_euler

        return is_euler(self._scheduler())

    def _scheduler(self) -> Any:
        _, name = self._part("scheduler")
        return getattr(imported(), name).from_config(self._config("scheduler/scheduler_config.json"))

    def load(self, *, device: str, dtype: str | None) -> DiffusersPipeline:
        import torch

        from cachekit.diffusers.pipeline import DiffusersPipeline

        check_memory(*(self._size_argument(*names) for names in (VIDEO_ARGUMENTS, ("height",), ("width",))))
        with without_bars():
            pipe = self.kind.from_pretrained(self.folder, dtype=getattr(torch, dtype or self.dtype))
        pipe.set_progress_bar_config(disable=True)
        if self.offload and device != "cpu":
            pipe.enable_model_cpu_offload(device=device)
        else:
            pipe.to(device)
        return DiffusersPipeline(pipe, self.call_arguments, self.fps)

    def _config(self, name: str) -> dict[str, Any]:
        """What a file of the folder says; diffusers takes one that holds no object for a name on the hub."""
        path = self.folder / name
        try:
            return structure(parse_json(read_text(path)), dict[str, Any])
        except (OSError, ValueError) as error:
            raise CachekitError(f"{str(path)!r} can't be read: {reason(error)}; save the pipeline anew") from error

    def _part(self, name: str) -> tuple[str, str]:
        """Library and class of a part of the pipeline."""
        part = self.index.get(name)
        if not isinstance(part, list) or len(part) != 2 or not all(isinstance(word, str) for word in part):
            has = ", ".join(key for key, value in self.index.items() if isinstance(value, list) and None not in value)
            raise CachekitError(
                f"the pipeline {self.path!r} has no {name} (it has {has}), and a strategy skips the blocks of one; "
                "UNets are not supported"
            )
        return part[0], part[1]

    def _size_argument(self, *names: str) -> int:
        """What its call is given for one of these names; 1 where the pipeline's own code decides."""
        told = [self.call_arguments.get(name, self._default(name)) for name in names]
        return next((size for size in told if isinstance(size, int)), 1)

    def _default(self, argument: str) -> object:
        parameter = inspect.signature(self.kind.__call__).parameters.get(argument)
        return parameter.default if parameter is not None else None


def is_folder(path: Path) -> bool:
    """Whether there is such a folder; a name that no file can have (too long, with a null in it) is none."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def imported() -> Any:
    """diffusers; CachekitError where it is not installed."""
    try:
        import diffusers
        import transformers  # noqa: F401  (pipelines load text encoders with it)
    except ImportError as error:
        raise CachekitError(MISSING) from error
    return diffusers


@contextmanager
def without_bars() -> Iterator[None]:
    """diffusers and transformers load and save without progress bars of their own."""
    from diffusers.utils import logging as ours
    from transformers.utils import logging as theirs

    shown = [logging for logging in (ours, theirs) if logging.is_progress_bar_enabled()]
    for logging in shown:
        logging.disable_progress_bar()
    try:
        yield
    finally:
        for logging in shown:
            logging.enable_progress_bar()
