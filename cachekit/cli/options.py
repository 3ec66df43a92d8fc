"""Options that several commands share."""

from collections.abc import Callable
from typing import Any

import click

from cachekit.plugins import get_plugins, use_modules


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
