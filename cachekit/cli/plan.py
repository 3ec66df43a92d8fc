"""`cachekit plan`: a planning strategy's pattern and ideal speedup, before anything runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cachekit.cli.options import MOST_STEPS, Whole, json_option, plugin_option
from cachekit.cli.results import Command

if TYPE_CHECKING:
    from rich.console import Console

    from cachekit.interface.strategy import Outlook


@click.command(cls=Command)
@click.argument("strategy")
@click.option(
    "--set", "settings", multiple=True, metavar="NAME=VALUE", help="A parameter of the strategy (repeatable)."
)
@click.option("--predictor", metavar="NAME[:FIELD=VALUE]", help="What to put in place of a skipped step.")
@click.option("--profile", type=click.Path(dir_okay=False), help="Measured parameters to use in place of the shipped.")
@click.option("--model", "model_spec", default="opensora-mini", show_default=True, metavar="NAME[:FIELD=VALUE]")
@click.option("--steps", type=Whole(1, MOST_STEPS), help="Denoising steps  [default: the model's].")
@plugin_option
@json_option
def plan(
    strategy: str,
    settings: tuple[str, ...],
    predictor: str | None,
    profile: str | None,
    model_spec: str,
    steps: int | None,
    json_file: str | None,
) -> None:
    """Show a planning strategy's pattern before anything runs."""
    from cachekit.attaching.trace import Trace
    from cachekit.cli.choices import choose_cache, choose_model
    from cachekit.cli.report import console, write_json
    from cachekit.errors import CachekitError
    from cachekit.generation.checked_model import timesteps_of
    from cachekit.interface.strategy import COMPUTED
    from cachekit.registry.parameters import as_json, parse_settings
    from cachekit.registry.plugins import get_plugins

    plugins = get_plugins()
    chosen = choose_model(model_spec, plugins, {})
    step_count = steps or chosen.model.steps
    cache = choose_cache(strategy, parse_settings(settings), predictor, profile, chosen, step_count, plugins)
    pattern: str | None = COMPUTED * step_count
    outlook = None
    if cache is not None:
        timesteps = timesteps_of(chosen.model, step_count)
        pattern = cache.plan(step_count, timesteps)
        outlook = cache.outlook(step_count, timesteps)
    if pattern is None:
        raise CachekitError(
            f"{strategy} decides while it runs, from what the model computes, so it has no plan; "
            f"see its pattern with `cachekit run --strategy {strategy}`"
        )
    trace = Trace(pattern)
    shown = console(json_file)
    shown.print(trace.pattern)
    shown.print(
        f"computed {trace.computed} of {step_count} steps, ideal speedup {trace.ideal_speedup:.2f}", highlight=False
    )
    if outlook is not None:
        show_outlook(outlook, shown)
    content: dict[str, object] = {
        "strategy": strategy,
        "model": chosen.name,
        "steps": step_count,
        "predictor": cache.predictor_spec(plugins) if cache else None,
        "params": as_json(cache.params) if cache else {},
        "pattern": trace.pattern,
        "computed": trace.computed,
        "skipped": trace.skipped,
        "ideal_speedup": trace.ideal_speedup,
    }
    if outlook is not None:
        rows = [dict(zip(outlook.columns, row, strict=True)) for row in outlook.rows]
        content["outlook"] = {"title": outlook.title, "rows": rows}
    write_json(content, json_file)


def show_outlook(outlook: Outlook, shown: Console) -> None:
    """The table that a strategy offers beside its plan."""
    from rich.table import Table

    table = Table(title=outlook.title, title_justify="left", box=None)
    for index, column in enumerate(outlook.columns):
        numbers = all(isinstance(row[index], (int, float)) for row in outlook.rows)
        table.add_column(column, justify="right" if numbers else "left", no_wrap=True)
    for row in outlook.rows:
        table.add_row(*map(str, row))
    shown.print()
    shown.print(table)
