"""Options that several commands share."""

from collections.abc import Callable
from typing import Any, TypeAlias

import click

from cachekit.registry.plugins import get_plugins, use_modules

Command: TypeAlias = Callable[..., Any]


def grouped(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """Several options as one decorator, in the order in which help shows them."""

    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


model_options = grouped(
    click.option(
        "--model",
        "model_spec",
        default="opensora-mini",
        show_default=True,
        metavar="NAME[:FIELD=VALUE]",
        help="The model, with options of its own (see `cachekit models`).",
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
    click.option("--steps", type=click.IntRange(min=1), help="Denoising steps  [default: the model's]."),
    click.option("--guidance-scale", type=float, help="Classifier-free guidance  [default: the model's]."),
    click.option(
        "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of the first video's noise."
    ),
)
"""How a video is sampled."""

videos_per_prompt_option = click.option(
    "--videos-per-prompt", type=click.IntRange(min=1), default=1, show_default=True, help="Each of a seed of its own."
)


def load_plugins(context: click.Context, parameter: click.Parameter, modules: tuple[str, ...]) -> tuple[str, ...]:
    """Load what `--plugin` names, and say which installed plugins failed."""
    plugins = use_modules(modules) if modules else get_plugins()
    for plugin in plugins.failures:
        click.echo(
            f"cachekit: warning: the plugin {plugin.module} of {plugin.distribution} failed: {plugin.failure}", err=True
        )
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
        metavar="FILE",
        help="Write the result as JSON to FILE; - for standard output, and then nothing else is printed there.",
    )(command)
