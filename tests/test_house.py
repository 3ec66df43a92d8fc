"""The order of the house: rooms import from rooms below, nothing in a circle, and plugins from `cachekit` alone."""

from __future__ import annotations

import ast
import graphlib
from pathlib import Path

import pytest

import cachekit
import cachekit.opensora

ROOT = Path(__file__).parents[1]
FLOORS = (
    {"errors"},
    {"files"},
    {"interface"},
    {"registry", "cachekit_eval"},
    {"profiles"},
    {"attaching"},
    {"generation", "testing"},
    {"opensora", "diffusers"},
    {"calibration"},
    {"scaling"},
    {"comparison", "tuning"},
    {"cli"},
)
"""From the ground up; rooms on one floor do not import each other."""
EVALUATOR_TAKES = {"Progress", "RegisterMetric", "hookimpl"}
"""What the evaluator has of `cachekit` itself: progress, and what makes its metrics a plugin."""


def modules() -> dict[str, Path]:
    """Every module of ours by its dotted name."""
    found = {}
    for top in (ROOT, ROOT / "plugins", ROOT / "eval"):
        for package in top.glob("cachekit*"):
            for file in package.rglob("*.py"):
                parts = file.relative_to(top).with_suffix("").parts
                found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return found


MODULES = modules()
CORE = [name for name in MODULES if name.startswith("cachekit.")]
PLUGINS = sorted(path.name for path in (ROOT / "plugins").glob("cachekit_*"))


def imports(source: str) -> set[str]:
    """The modules of ours that a source imports, in functions and for type checking too; `cachekit:name` for names."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are written in full"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                found.add(whole if whole in MODULES else f"{node.module}:{alias.name}")
    return {name for name in found if name.partition(":")[0] in MODULES}


def graph() -> dict[str, set[str]]:
    return {name: imports(file.read_text(encoding="utf-8")) for name, file in MODULES.items()}


def room(module: str) -> str:
    """The room that a module is in; `cachekit` itself and plugins are rooms of their own."""
    parts = module.partition(":")[0].split(".")
    return parts[1] if parts[0] == "cachekit" and len(parts) > 1 else parts[0]


def test_the_walk_sees_imports_for_type_checking_and_in_functions():
    source = """
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    from cachekit.attaching.session import Session
def late():
    from cachekit.interface import hooks
    import cachekit.errors, json
"""
    assert imports(source) == {"cachekit.attaching.session:Session", "cachekit.interface.hooks", "cachekit.errors"}


@pytest.mark.parametrize("module", CORE)
def test_a_room_imports_only_from_rooms_below(module):
    floor = next(number for number, rooms in enumerate(FLOORS) if room(module) in rooms)
    below = set().union(*FLOORS[:floor], {room(module)})
    source = MODULES[module].read_text(encoding="utf-8")
    assert {room(imported) for imported in imports(source)} <= below


def test_nothing_imports_itself_in_a_circle():
    files = {name: {imported.partition(":")[0] for imported in imported_by} for name, imported_by in graph().items()}
    graphlib.TopologicalSorter(files).prepare()


@pytest.mark.parametrize("plugin", PLUGINS)
def test_a_shipped_plugin_imports_only_what_is_public(plugin):
    taken = set().union(*(found for module, found in graph().items() if room(module) == plugin))
    strange = {name for name in taken if room(name) != plugin and name.partition(":")[0] != "cachekit"}
    assert not strange
    assert {name.partition(":")[2] for name in taken if name.startswith("cachekit:")} <= set(cachekit.__all__)


def test_the_evaluator_stands_on_the_core_s_errors_and_progress():
    taken = set().union(*(found for module, found in graph().items() if room(module) == "cachekit_eval"))
    core = {name for name in taken if room(name) not in ("cachekit_eval", "errors")}
    assert core == {f"cachekit:{name}" for name in EVALUATOR_TAKES}


@pytest.mark.parametrize("package", [cachekit, cachekit.opensora], ids=lambda package: package.__name__)
def test_every_public_name_is_there_and_type_checkers_see_the_same(package):
    for name in package.__all__:
        assert getattr(package, name) is not None
    listed = imports(Path(package.__file__).read_text(encoding="utf-8"))
    homes = {f"{package.__name__}.{home}:{name}" for name, home in package._HOMES.items()}
    assert listed == homes
