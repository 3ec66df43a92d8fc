"""Options that several commands share, and the bounds of their values."""

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import click

from cachekit.cli.results import RESULT
from cachekit.files.text import plain
from cachekit.registry.plugins import get_plugins, use_modules

Command: TypeAlias = Callable[..., Any]


MOST_STEPS = 10_000
"""Models are trained on a thousand noise levels or so."""
LARGEST_SEED = 2**63 - 1
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


class Finite(click.FloatRange):
    """A number that is one: no NaN and no infinity."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is no finite number.", param, ctx)
        return number


def grouped(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """Several options as one decorator, in the order in which help shows them."""

    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


ARGUMENTS = "cachekit.pipeline_arguments"
"""Where `--pipeline-arg` leaves what it was given for `--model`, which is read after it."""


def keep_arguments(context: click.Context, parameter: click.Parameter, words: tuple[str, ...]) -> tuple[str, ...]:
    context.meta[ARGUMENTS] = words
    return words


def with_arguments(context: click.Context, parameter: click.Parameter, spec: str) -> str:
    """The model's spec, with what `--pipeline-arg` gives its pipeline."""
    words = context.meta.get(ARGUMENTS, ())
    return f"{spec}:arguments={';'.join(words)}" if words else spec


model_options = grouped(
    click.option(
        "--model",
        "model_spec",
        default="opensora-mini",
        show_default=True,
        metavar="NAME[:FIELD=VALUE]",
        callback=with_arguments,
        help="The model, with options of its own (see `cachekit models`).",
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
    click.option("--weights", metavar="PATH", help="The model's weights, where it takes any."),
    click.option("--offload", is_flag=True, help="Keep what is not at work off the GPU, where the model can."),
    click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True),
    click.option("--dtype", type=click.Choice(["float32", "bfloat16", "float16"]), help="[default: the model's]"),
)
"""Which model, and where and how it runs."""

prompt_options = grouped(
    click.option("--prompt", "prompts", multiple=True, metavar="TEXT", help="What a video shows (repeatable)."),
    click.option(
        "--prompts", "prompts_from", metavar="FILE", help="A prompt a line, or JSON; - for standard input; vbench."
    ),
)
"""What the videos show."""

sampling_options = grouped(
    click.option("--steps", type=Whole(1, MOST_STEPS), help="Denoising steps  [default: the model's]."),
    click.option(
        "--spacing", type=Finite(), metavar="R", help="Steps nearer to noise: r t / (1 + (r - 1) t)  [default: even]."
    ),
    click.option("--solver", metavar="NAME", help="The sampler's solver: euler, ab2 or dpm2m  [default: the model's]."),
    click.option("--guidance-scale", type=Finite(), help="Classifier-free guidance  [default: the model's]."),
    click.option(
        "--seed", type=Whole(0, LARGEST_SEED), default=0, show_default=True, help="Seed of the first video's noise."
    ),
)
"""How a video is sampled."""

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
