"""The `cachekit` command: its subcommands by name, each imported only when it is used."""

import importlib
import os
import sys
import warnings
from collections.abc import Sequence
from typing import TextIO

import click

from cachekit.cli.streams import Outlet, outlets
from cachekit.errors import CachekitError, CachekitWarning, StoppedError
from cachekit.files.text import plain

COMMANDS: dict[str, tuple[str, str]] = {
    "run": ("cachekit.cli.run:run", "Make videos from prompts, with a strategy or without."),
    "eval": ("cachekit.cli.eval:evaluate_command", "Compare videos with the uncached model's: PSNR, SSIM, LPIPS."),
    "plan": ("cachekit.cli.plan:plan", "Show a planning strategy's pattern before anything runs."),
    "compare": ("cachekit.cli.compare:compare", "Run settings and baselines side by side, and report."),
    "calibrate": ("cachekit.cli.calibrate:calibrate", "Measure a strategy's profile on a model."),
    "gather": ("cachekit.cli.gather:gather", "Join what shares of the work have made."),
    "tune": ("cachekit.cli.tune:tune", "Search a strategy's parameters for a speed or a quality."),
    "bench": ("cachekit.cli.bench:bench", "Measure what attaching costs on this machine."),
    "new-plugin": ("cachekit.cli.new_plugin:new_plugin", "Write the beginning of a plugin of your own."),
    "strategies": ("cachekit.cli.listings:strategies", "List the registered strategies and their parameters."),
    "predictors": ("cachekit.cli.listings:predictors", "List the registered predictors and their parameters."),
    "models": ("cachekit.cli.listings:models", "List the models that `run` knows."),
    "adapters": ("cachekit.cli.listings:adapters", "List the registered adapters and their probes."),
    "plugins": ("cachekit.cli.listings:plugins", "List the plugins found, and those that failed."),
}
"""Each command's home, and the line that `--help` shows, so that help imports none of them."""


class LazyGroup(click.Group):
    """A group that imports a subcommand when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, attribute = COMMANDS[cmd_name][0].split(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS:
            from cachekit.errors import unknown

            raise unknown("command", args[0], COMMANDS)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, help_line) for name, (_, help_line) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="cachekit-dit", prog_name="cachekit")
def cli() -> None:
    """Step-skipping caches for diffusion transformers: run them, compare them, write your own."""


def show_own_warnings() -> None:
    """cachekit's warnings as a sentence; all others as Python shows them."""
    as_python_does = warnings.showwarning

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        if issubclass(category, CachekitWarning):
            say(f"warning: {message}")
        else:
            as_python_does(message, category, filename, lineno, file, line)

    warnings.showwarning = show


def say(sentence: object) -> None:
    """A sentence on standard error, on one line and with nothing in it that a terminal would obey."""
    click.echo(f"cachekit: {plain(sentence)}", err=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 1 some of the work failed, 2 the request was wrong."""
    show_own_warnings()
    with outlets() as (out, _):
        status = outcome(arguments)
        status = status or unprinted(out)
    sys.exit(status)


def outcome(arguments: Sequence[str] | None) -> int:
    """Run the command line; the exit status, with the sentence for what went wrong said."""
    try:
        status = cli.main(args=arguments, prog_name="cachekit", standalone_mode=False)
    except StoppedError as error:
        say(error)
        return 1
    except CachekitError as error:
        say(error)
        return 2
    except click.ClickException as error:
        say_usage(error)
        return 2
    except (KeyboardInterrupt, click.Abort):
        say("interrupted; run the same command again to go on")
        return 130
    except MemoryError as error:
        say(f"there is not enough memory for this ({error or 'MemoryError'}); ask for less at once")
        return 1
    except OSError as error:
        where = f"{os.fsdecode(error.filename)!r}: " if isinstance(error.filename, (str, bytes)) else ""
        say(f"{where}{error.strerror or error}; see to it and run the same command again to go on")
        return 1
    return status if isinstance(status, int) else 0


def say_usage(error: click.ClickException) -> None:
    """What click says of a command line, made fit to be shown."""
    context = getattr(error, "ctx", None)
    if context is not None:
        click.echo(context.get_usage(), err=True)
    click.echo(f"Error: {plain(error.format_message())}", err=True)


def unprinted(out: Outlet) -> int:
    """The exit status where the work is done and standard output took nothing: a reader that left is no failure."""
    out.flush()
    if out.failure is None or isinstance(out.failure, BrokenPipeError):
        return 0
    say(f"standard output can't be written to: {out.failure.strerror}")
    return 1
