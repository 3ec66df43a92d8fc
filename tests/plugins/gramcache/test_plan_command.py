"""`cachekit plan gramcache`: the plan, and what each further step buys."""

import json

import numpy as np
import pytest
from safetensors.numpy import save_file

from cachekit.cli import main
from cachekit.opensora.adapter import opensora_architecture
from cachekit.profiles.profile import Profile, ProfiledModel


@pytest.fixture
def plan(tmp_path, measured, capsys):
    """`cachekit plan gramcache` on a model of a made-up size, with a profile of it."""
    sizes = {"hidden_size": 8, "depth": 1}
    weights = tmp_path / "weights.safetensors"
    save_file({"none": np.zeros(1)}, weights, metadata={"config": json.dumps({"transformer": sizes})})
    profile = tmp_path / "profile.json"
    model = ProfiledModel("STDiT3", opensora_architecture(**sizes))
    Profile("gramcache", model, measured(30), steps=30).save(profile)

    def plan(*arguments, strategy="gramcache"):
        named = ["--profile", str(profile)] if strategy == "gramcache" else []
        command = ["plan", strategy, "--model", f"opensora-mini:weights={weights}", *named, *arguments]
        with pytest.raises(SystemExit) as end:
            main(command)
        assert end.value.code == 0
        return capsys.readouterr().out

    return plan


def test_the_predicted_error_of_each_count_is_shown_below_the_plan(plan):
    shown = plan("--set", "computed=10")
    assert "computed 10 of 30 steps, ideal speedup 3.00" in shown
    table = shown.partition("predicted error")[2]
    assert [int(line.split()[0]) for line in table.splitlines()[2:] if line.strip()] == list(range(2, 31))


def test_json_holds_the_same(plan):
    content = json.loads(plan("--set", "computed=10", "--json", "-"))
    rows = {row["computed"]: row for row in content["outlook"]["rows"]}
    assert rows[10]["pattern"] == content["pattern"]
    assert rows[9]["predicted error %"] > rows[10]["predicted error %"] > rows[30]["predicted error %"] == 0


def test_a_strategy_without_an_outlook_shows_its_plan_alone(plan):
    content = json.loads(plan("--json", "-", strategy="none"))
    assert "outlook" not in content
