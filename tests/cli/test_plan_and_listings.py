"""`cachekit plan`, the listings, and help."""

import json
import subprocess
import sys

import pytest


def test_plan_shows_the_pattern_and_the_ideal_speedup(cachekit_command, golden):
    result = cachekit_command("plan", "magcache", "--model", "opensora", "--json", "-")
    content = json.loads(result.out)
    assert content["pattern"] == golden["trajectories"][1]["pattern"]
    assert (content["computed"], content["skipped"], content["ideal_speedup"]) == (12, 18, 2.5)


def test_plan_takes_steps_and_parameters(cachekit_command, golden):
    result = cachekit_command("plan", "magcache", "--model", "opensora", "--set", "K=5", "--set", "thresh=0.24")
    assert golden["trajectories"][2]["pattern"] in result.out
    assert len(json.loads(cachekit_command("plan", "magcache", "--steps", 50, "--json", "-").out)["pattern"]) == 50


def test_a_planned_pattern_is_the_one_that_runs(cachekit_command, tmp_path, quick):
    planned = json.loads(cachekit_command("plan", "magcache", "--steps", 4, "--json", "-").out)
    ran = json.loads(cachekit_command("run", *quick, "--out", tmp_path, "--json", "-").out)
    assert ran["videos"][0]["pattern"] == planned["pattern"]


def test_a_deciding_strategy_has_no_plan(cachekit_command):
    result = cachekit_command("plan", "teacache")
    assert result.status == 2
    assert "cachekit run --strategy teacache" in result.err


@pytest.mark.parametrize(
    ("listing", "name"),
    [("strategies", "magcache"), ("predictors", "taylor"), ("models", "opensora-mini"), ("adapters", "opensora")],
)
def test_a_listing_names_distribution_and_parameters(cachekit_command, listing, name):
    entries = {entry["name"]: entry for entry in json.loads(cachekit_command(listing, "--json", "-").out)}
    assert entries[name]["distribution"].startswith("cachekit-dit ")
    for parameter in entries[name]["parameters"]:
        assert parameter["type"] != "Any"
        assert parameter["help"]
    text = cachekit_command(listing).out
    assert name in text
    assert "cachekit-dit" in text


def test_a_parameter_shows_type_default_and_meaning(cachekit_command):
    (thresh,) = [
        parameter
        for entry in json.loads(cachekit_command("strategies", "--json", "-").out)
        if entry["name"] == "magcache"
        for parameter in entry["parameters"]
        if parameter["name"] == "thresh"
    ]
    assert (thresh["type"], thresh["default"]) == ("float", 0.12)
    assert "thresh: float = 0.12" in cachekit_command("strategies").out


def test_plugins_says_what_each_registers(cachekit_command):
    entries = {entry["module"]: entry for entry in json.loads(cachekit_command("plugins", "--json", "-").out)}
    assert entries["cachekit_magcache"]["registers"] == {"strategies": ["magcache"]}


def test_help_names_every_command_and_imports_no_torch():
    code = (
        "import sys\n"
        "from cachekit.cli import main\n"
        "try:\n    main(['--help'])\n"
        "except SystemExit as stop:\n    assert not stop.code\n"
        "assert 'torch' not in sys.modules\n"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    for command in ("run", "eval", "plan", "bench", "strategies", "predictors", "models", "adapters", "plugins"):
        assert f"  {command} " in printed
