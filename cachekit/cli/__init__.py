"""The command line: `cachekit COMMAND`. A command is a thin file over the library, imported when it is called."""

from cachekit.cli.main import main

__all__ = ["main"]
