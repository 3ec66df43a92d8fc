"""Writing the beginning of a plugin: an installable package with a strategy, its test and pyproject.toml."""

from __future__ import annotations

import importlib.resources
import re
from pathlib import Path

import jinja2

from cachekit.errors import CachekitError
from cachekit.registry.plugins import get_plugins

TEMPLATES = {
    "pyproject.toml.j2": "pyproject.toml",
    "README.md.j2": "README.md",
    "strategy.j2": "{module}/__init__.py",
    "test.j2": "tests/test_{module}.py",
}
"""What is written, by its template."""


def write_plugin(name: str, folder: Path) -> list[Path]:
    """Write the package of a strategy `name` into `folder`, which must not exist yet; returns the files.

    Raises CachekitError where the name is none for a strategy, is taken, or the folder can't be written.
    """
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name):
        raise CachekitError(
            f"a strategy's name is lower-case letters, digits and hyphens, as in 'my-cache', not {name!r}"
        )
    if name in get_plugins().strategies:
        raise CachekitError(f"there is a strategy {name!r} already; choose another name, or uninstall that one")
    if folder.exists():
        raise CachekitError(f"{str(folder)!r} is there already; choose another folder with --out")
    module = "cachekit_" + name.replace("-", "_")
    words = {"name": name, "module": module, "kind": "".join(word.capitalize() for word in name.split("-"))}
    templates = importlib.resources.files(__name__)
    environment = jinja2.Environment(keep_trailing_newline=True, undefined=jinja2.StrictUndefined, autoescape=False)
    written = []
    try:
        for template, target in TEMPLATES.items():
            path = folder / target.format(module=module)
            path.parent.mkdir(parents=True, exist_ok=True)
            text = (templates / template).read_text(encoding="utf-8")
            path.write_text(environment.from_string(text).render(words), encoding="utf-8")
            written.append(path)
    except OSError as error:
        raise CachekitError(f"{str(folder)!r} can't be written: {error.strerror}") from error
    return written
