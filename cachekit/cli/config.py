"""`--config FILE`: a command's options in a TOML file, by their long names; the command line goes before it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from cachekit.errors import CachekitError, unknown
from cachekit.files.reading import read_text, shortened
from cachekit.files.writing import reason

LARGEST = 2**20
"""Bytes up to which a config file is read."""
LONGEST = 100
"""Digits of a whole number in it."""


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
    context.meta["cachekit.config"] = file
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
        return tomllib.loads(read_text(Path(file), LARGEST))
    except OSError as error:
        raise CachekitError(f"the config file {file!r} can't be read: {reason(error)}") from error
    except (ValueError, RecursionError) as error:
        raise CachekitError(f"the config file {file!r} is no TOML: {shortened(str(error), 200)}") from error


def fitted(value: object, option: click.Option, what: str) -> object:
    """A value as click takes a default: a list for a repeatable option, text or number elsewhere."""
    if isinstance(value, dict) or (isinstance(value, list) and not option.multiple):
        raise CachekitError(f"{what} must be one value, not {shortened(repr(value))}")
    if option.is_flag and not isinstance(value, bool):
        raise CachekitError(f"{what} must be true or false, not {value!r}")
    if not option.multiple:
        return value if option.is_flag else said(value)
    return [said(item) for item in value] if isinstance(value, list) else [said(value)]


def said(value: object) -> str:
    """A value as the command line says it."""
    if isinstance(value, int) and abs(value) >= 10**LONGEST:
        raise CachekitError(f"a number in the config file has more than {LONGEST} digits; write a smaller one")
    return str(value)
