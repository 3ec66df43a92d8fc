"""`--config FILE`: a command's options in a TOML file, by their long names; the command line goes before it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from cachekit.errors import CachekitError, unknown


def config_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--config",
        metavar="FILE",
        is_eager=True,
        expose_value=False,
        callback=use_config,
        help="Options by their long names in a TOML file; those given here go before.",
    )(command)


def use_config(context: click.Context, parameter: click.Parameter, file: str | None) -> None:
    """Make the file's values the defaults of this command's options."""
    if file is None:
        return
    options = {
        name.lstrip("-"): option
        for option in context.command.params
        if isinstance(option, click.Option) and option is not parameter
        for name in option.opts
    }
    defaults = dict(context.default_map or {})
    for key, value in read_toml(file).items():
        if key.replace("_", "-") not in options:
            raise unknown(f"option in {file!r}", key, options)
        option = options[key.replace("_", "-")]
        defaults[option.name or ""] = fitted(value, option, f"{key} in {file!r}")
    context.default_map = defaults


def read_toml(file: str) -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        return tomllib.loads(Path(file).read_text(encoding="utf-8"))
    except OSError as error:
        raise CachekitError(f"the config file {file!r} can't be read: {error.strerror}") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise CachekitError(f"the config file {file!r} is no TOML: {error}") from error


def fitted(value: object, option: click.Option, what: str) -> object:
    """A value as click takes a default: a list for a repeatable option, text or number elsewhere."""
    if isinstance(value, dict) or (isinstance(value, list) and not option.multiple):
        raise CachekitError(f"{what} must be one value, not {value!r}")
    if option.is_flag and not isinstance(value, bool):
        raise CachekitError(f"{what} must be true or false, not {value!r}")
    if not option.multiple:
        return value if option.is_flag else str(value)
    return [str(item) for item in value] if isinstance(value, list) else [str(value)]
