"""The command line as it was given, for the files that say how they were made."""

from __future__ import annotations

import shlex

import click
from click.core import ParameterSource

NOT_SAID = ("json_file", "shard", "ray_address", "gpus_per_worker", "workers")
GIVEN = (ParameterSource.COMMANDLINE, ParameterSource.DEFAULT_MAP)


def command_line(context: click.Context) -> str:
    """The command with every argument and option that was given, in the order in which the command declares them.

    What a `--config` file says is spelt out, since the file may change. Where the result goes (`--json`) and who does
    the work (`--shard`, `--ray`) do not belong to how it was made.
    """
    words = ["cachekit", context.info_name or ""]
    for parameter in context.command.params:
        name = parameter.name or ""
        if name in NOT_SAID or name not in context.params or context.get_parameter_source(name) not in GIVEN:
            continue
        value = context.params.get(name)
        values = value if isinstance(value, (tuple, list)) else [value]
        if isinstance(parameter, click.Argument):
            words += map(str, values)
        elif isinstance(parameter, click.Option) and parameter.is_flag:
            words += [parameter.opts[0]] if value else []
        else:
            words += [word for each in values for word in (parameter.opts[0], str(each))]
    return shlex.join(words)
