"""`cachekit new-plugin`: the beginning of a plugin as a package of one's own."""

from __future__ import annotations

import click

from cachekit.cli.options import json_option


@click.command("new-plugin")
@click.argument("name")
@click.option("--out", metavar="DIR", help="Folder to write, which must not exist yet  [default: cachekit-NAME].")
@json_option
def new_plugin(name: str, out: str | None, json_file: str | None) -> None:
    """Write an installable package with a strategy NAME, its test and pyproject.toml."""
    from pathlib import Path

    from cachekit.cli.report import console, write_json
    from cachekit.testing.new_plugin import write_plugin

    folder = Path(out or f"cachekit-{name}")
    written = write_plugin(name, folder)
    write_json({"name": name, "folder": str(folder), "files": [str(path) for path in written]}, json_file)
    report = console(json_file)
    for path in written:
        report.print(str(path), highlight=False, soft_wrap=True)
    report.print(
        f"next: cd {folder} && pip install -e .[dev] && pytest, then put your rule in {written[2].relative_to(folder)}",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
