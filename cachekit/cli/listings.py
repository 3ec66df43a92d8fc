"""The listings: what is registered, by whom, with which parameters."""

from __future__ import annotations

import inspect
import json
from typing import TYPE_CHECKING, Any

import attrs
import click

from cachekit.cli.options import json_option, plugin_option
from cachekit.cli.results import Command

if TYPE_CHECKING:
    from cachekit.registry.plugins import Registry


@click.command(cls=Command)
@plugin_option
@json_option
def strategies(json_file: str | None) -> None:
    """List the registered strategies and their parameters."""
    show("strategies", json_file, {"probes": "needs probe"})


@click.command(cls=Command)
@plugin_option
@json_option
def predictors(json_file: str | None) -> None:
    """List the registered predictors and their parameters."""
    show("predictors", json_file)


@click.command(cls=Command)
@plugin_option
@json_option
def models(json_file: str | None) -> None:
    """List the models that `run` knows, and their options."""
    show("models", json_file, {"steps": "steps", "guidance_scale": "guidance scale"})


@click.command(cls=Command)
@plugin_option
@json_option
def adapters(json_file: str | None) -> None:
    """List the registered adapters and the probes that they offer."""
    show("adapters", json_file, {"probes": "probes"})


@click.command(cls=Command)
@plugin_option
@json_option
def plugins(json_file: str | None) -> None:
    """List the plugins found, and those that failed to import."""
    from rich.table import Table

    from cachekit.cli.report import console, write_json
    from cachekit.registry.plugins import get_plugins

    manager = get_plugins()
    table = Table("plugin", "module", "distribution", "registers")
    content = []
    _ = manager.metrics
    for plugin in manager.plugins:
        kinds = ("strategies", "predictors", "adapters", "metrics", "models")
        brought = {kind: [r.name for r in getattr(manager, kind) if r.plugin == plugin] for kind in kinds}
        brought = {kind: names for kind, names in brought.items() if names}
        told = "; ".join(f"{kind}: {', '.join(names)}" for kind, names in brought.items())
        failed = f"failed: {plugin.failure}" if plugin.failure else told
        table.add_row(plugin.name, plugin.module, plugin.distribution, failed)
        content.append({**attrs.asdict(plugin), "registers": brought})
    console(json_file).print(table)
    write_json(content, json_file)


def show(kind: str, json_file: str | None, facts: dict[str, str] | None = None) -> None:
    """List one registry: each thing with its origin, its first doc line, class facts and parameters."""
    from rich.text import Text

    from cachekit.cli.report import console, write_json
    from cachekit.files.text import plain
    from cachekit.registry.plugins import get_plugins

    registry: Registry[Any] = getattr(get_plugins(), kind)
    shown = console(json_file)
    content = []
    for registration in registry:
        entry = describe(registration, facts or {})
        content.append(entry)
        shown.print(Text.assemble((plain(entry["name"]), "bold"), "  ", plain(entry["summary"])))
        shown.print(f"  from {entry['distribution']} ({entry['module']})")
        for label, value in entry["facts"].items():
            shown.print(f"  {label}: {value}")
        for parameter in entry["parameters"]:
            default = "measured" if parameter["measured"] else parameter["default"]
            line = f"  {parameter['name']}: {parameter['type']} = {default}   {parameter['help']}"
            shown.print(line)
    write_json(content, json_file)


def describe(registration: Any, facts: dict[str, str]) -> dict[str, Any]:
    """One registration as data."""
    from cachekit.registry.parameters import describe_parameters

    value = registration.value
    told = {label: fact for name, label in facts.items() if (fact := said(getattr(value, name, ())))}
    return {
        "name": registration.name,
        "summary": (inspect.getdoc(value) or "").partition("\n")[0],
        "class": f"{value.__module__}.{value.__qualname__}",
        "distribution": registration.plugin.distribution,
        "module": registration.plugin.module,
        "facts": told,
        "parameters": [
            {**attrs.asdict(parameter, recurse=False), "default": said(parameter.default)}
            for parameter in (describe_parameters(value) if attrs.has(value) else [])
        ],
    }


def said(value: object) -> Any:
    """A value of a stranger's class as JSON holds it, in words where it can't."""
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return repr(value)
    return value
