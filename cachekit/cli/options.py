"""Options that several commands share, and the bounds of their values."""

import functools
import math
import re
from collections.abc import Callable
from typing import Any, TypeAlias

import attrs
import click

from cachekit.cli.results import RESULT
from cachekit.files.text import plain
from cachekit.generation.bounds import LARGEST_SEED
from cachekit.registry.plugins import get_plugins, use_modules

Command: TypeAlias = Callable[..., Any]


MOST_STEPS = 10_000
"""Models are trained on a thousand noise levels or so."""
MOST_VIDEOS = 100_000
MOST_THREADS = 1024


class Whole(click.IntRange):
    """A whole number between bounds, whatever number of digits comes."""

    def __init__(self, low: int, high: int) -> None:
        super().__init__(low, high)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if isinstance(value, str) and len(value.strip()) > 40:
            self.fail(
                f"a number of {len(value.strip())} digits is not in the range {self.min}<=x<={self.max}.", param, ctx
            )
        return super().convert(value, param, ctx)


class Finite(click.types.FloatParamType):
    """A number that is one: no NaN and no infinity."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is no finite number.", param, ctx)
        return number


class FiniteWithin(click.FloatRange):
    """A finite number between bounds."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return super().convert(Finite().convert(value, param, ctx), param, ctx)


def grouped(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """Several options as one decorator, in the order in which help shows them."""

    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def gathered(
    name: str, kind: type[attrs.AttrsInstance], *options: Callable[[Command], Command]
) -> Callable[[Command], Command]:
    """Several options as one decorator, whose values the command gets as its argument `name`, an object of `kind`."""
    fields = [field.name for field in attrs.fields(kind)]

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def gather(*args: Any, **values: Any) -> Any:
            given = kind(**{field: values.pop(field) for field in fields})
            return command(*args, **{name: given}, **values)

        return grouped(*options)(gather)

    return decorate


@attrs.frozen
class ModelWords:
    """Which model, and where and how it runs, in the words of the command line."""

    model_spec: str
    weights: str | None
    offload: bool
    device: str
    dtype: str | None


@attrs.frozen
class PromptWords:
    """What the videos show, in the words of the command line."""

    prompts: tuple[str, ...]
    prompts_from: str | None

    def collected(self) -> list[str]:
        """The prompts named and those of the file; none where none were."""
        from cachekit.generation.prompts import collect_prompts

        return list(collect_prompts(self.prompts, self.prompts_from))


@attrs.frozen
class SamplingWords:
    """How a video is sampled, in the words of the command line."""

    steps: int | None
    spacing: float | None
    solver: str | None
    guidance_scale: float | None
    seed: int


ARGUMENTS = "cachekit.pipeline_arguments"
"""Where `--pipeline-arg` leaves what it was given for `--model`, which is read after it."""


def keep_arguments(context: click.Context, parameter: click.Parameter, words: tuple[str, ...]) -> tuple[str, ...]:
    if "" in words:
        raise click.UsageError("--pipeline-arg takes name=value, not ''.")
    context.meta[ARGUMENTS] = words
    return words


def with_arguments(context: click.Context, parameter: click.Parameter, spec: str | None) -> str | None:
    """The model's spec, with what `--pipeline-arg` gives its pipeline."""
    words = context.meta.get(ARGUMENTS, ())
    if words and spec is None:
        raise click.UsageError("--pipeline-arg is for a diffusers pipeline; name it with --model diffusers:path=DIR")
    return f"{spec}:arguments={';'.join(map(escaped, words))}" if words else spec


def escaped(word: str) -> str:
    """A word in which nothing is read as the spec's own marks, as `DiffusersModel.arguments` takes it."""
    return re.sub("[%:;]", lambda mark: f"%{ord(mark[0]):02X}", word)


def model_option(default: str | None, words: str) -> Callable[[Command], Command]:
    """`--model`, with `--pipeline-arg` for what the call of a diffusers pipeline is given."""
    return grouped(
        click.option(
            "--model",
            "model_spec",
            default=default,
            show_default=True,
            metavar="NAME[:FIELD=VALUE]",
            callback=with_arguments,
            help=words,
        ),
        click.option(
            "--pipeline-arg",
            multiple=True,
            metavar="NAME=VALUE",
            callback=keep_arguments,
            expose_value=False,
            is_eager=True,
            help="What a diffusers pipeline's call is given, such as height=480 (repeatable).",
        ),
    )


model_options = gathered(
    "asked_model",
    ModelWords,
    model_option("opensora-mini", "The model, with options of its own (see `cachekit models`)."),
    click.option("--weights", metavar="PATH", help="The model's weights, where it takes any."),
    click.option("--offload", is_flag=True, help="Keep what is not at work off the GPU, where the model can."),
    click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True),
    click.option("--dtype", type=click.Choice(["float32", "bfloat16", "float16"]), help="[default: the model's]"),
)
"""Which model, and where and how it runs: `asked_model`."""

prompt_options = gathered(
    "asked_prompts",
    PromptWords,
    click.option("--prompt", "prompts", multiple=True, metavar="TEXT", help="What a video shows (repeatable)."),
    click.option(
        "--prompts", "prompts_from", metavar="FILE", help="A prompt a line, or JSON; - for standard input; vbench."
    ),
)
"""What the videos show: `asked_prompts`."""

steps_option = click.option("--steps", type=Whole(1, MOST_STEPS), help="Denoising steps  [default: the model's].")

sampling_options = gathered(
    "sampling",
    SamplingWords,
    steps_option,
    click.option(
        "--spacing", type=Finite(), metavar="R", help="Steps nearer to noise: r t / (1 + (r - 1) t)  [default: even]."
    ),
    click.option("--solver", metavar="NAME", help="The sampler's solver: euler, ab2 or dpm2m  [default: the model's]."),
    click.option("--guidance-scale", type=Finite(), help="Classifier-free guidance  [default: the model's]."),
    click.option(
        "--seed", type=Whole(0, LARGEST_SEED), default=0, show_default=True, help="Seed of the first video's noise."
    ),
)
"""How a video is sampled: `sampling`."""

settings_option = click.option(
    "--set", "settings", multiple=True, metavar="NAME=VALUE", help="A parameter of the strategy (repeatable)."
)
predictor_option = click.option(
    "--predictor", metavar="NAME[:FIELD=VALUE]", help="What to put in place of a skipped step."
)
profile_option = click.option(
    "--profile", type=click.Path(dir_okay=False), help="Measured parameters to use in place of the shipped."
)

videos_per_prompt_option = click.option(
    "--videos-per-prompt", type=Whole(1, MOST_VIDEOS), default=1, show_default=True, help="Each of a seed of its own."
)


def load_plugins(context: click.Context, parameter: click.Parameter, modules: tuple[str, ...]) -> tuple[str, ...]:
    """Load what `--plugin` names, and say which installed plugins failed."""
    plugins = use_modules(modules) if modules else get_plugins()
    for plugin in plugins.failures:
        click.echo(f"cachekit: warning: {plain(plugin.report)}", err=True)
    return modules


def plugin_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--plugin",
        multiple=True,
        metavar="MODULE",
        callback=load_plugins,
        expose_value=False,
        is_eager=True,
        help="Load this module as a plugin too (repeatable).",
    )(command)


def json_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--json",
        "json_file",
        type=RESULT,
        metavar="FILE",
        help="Write the result as JSON to FILE; - for standard output, and then nothing else is printed there.",
    )(command)
