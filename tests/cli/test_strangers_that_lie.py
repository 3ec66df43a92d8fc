"""Strategies, predictors and models of strangers that say nonsense: one sentence that names them."""

from __future__ import annotations

import sys

import pytest
from tiny_model import CIRCLE

HEAD = """
import attrs, cachekit, torch
@attrs.define
class Odd(cachekit.Strategy):
    '''A stranger's.'''
    n: int = 2
    def plan(self, run):
        return "X." * (run.steps // 2)
    {method}
@cachekit.hookimpl
def cachekit_strategies(register):
    register("odd", Odd)
"""


@pytest.fixture
def odd(tmp_path, monkeypatch):
    """Write a plugin; returns the option that loads it."""

    def write(source: str) -> tuple[str, ...]:
        name = f"odd_{abs(hash(source)) % 10**9}"
        (tmp_path / f"{name}.py").write_text(source)
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, name, raising=False)
        return ("--plugin", name)

    return write


PLANS = {
    "of another length": "return 'X'",
    "of other characters": "return 'Y' * run.steps",
    "no text": "return 3",
    "a list": "return ['X'] * run.steps",
    "raises": "return 1 // 0",
    "raises what has no words": "raise KeyError",
    "asserts": "assert run.steps == 0",
    "recurses": "return self.plan(run)",
}


@pytest.mark.parametrize("body", PLANS.values(), ids=PLANS)
@pytest.mark.parametrize("command", ["plan", "run"])
def test_a_plan_that_is_none(cachekit, odd, weights, tmp_path, command, body):
    words = odd(HEAD.format(method=f"def plan(self, run):\n        {body}"))
    line = {
        "plan": ("plan", "odd", *words, "--steps", 4),
        "run": ("run", "--strategy", "odd", *words, "--steps", 4, "--prompt", CIRCLE, "--out", tmp_path / "o"),
    }[command]
    status, _, errors = cachekit(*line)
    assert (status, "Odd" in errors, len(errors.strip().splitlines())) == (2, True, 1), errors
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize(
    "body",
    [
        "return 3",
        "return cachekit.Outlook('t', ('a', 'b'), ((1,),))",
        "return cachekit.Outlook('t', ('a',), 3)",
        "raise ValueError('no')",
    ],
)
def test_an_outlook_that_is_none(cachekit, odd, body):
    words = odd(HEAD.format(method=f"def outlook(self, run):\n        {body}"))
    status, _, errors = cachekit("plan", "odd", *words, "--steps", 4)
    assert (status, "outlook of Odd" in errors) == (2, True), errors


@pytest.mark.parametrize(
    "field",
    [
        "m: 'Unheard' = 2",
        "m: object = attrs.field(factory=lambda: 1 / 0)",
        "m: object = attrs.field(factory=object)",
        "m: object = float('nan')",
        "m: int = attrs.field(default=1, validator=lambda *_: {}['x'])",
    ],
)
def test_a_field_of_nonsense(cachekit, odd, tmp_path, field):
    words = odd(HEAD.format(method="pass").replace("n: int = 2", f"n: int = 2\n    {field}"))
    assert cachekit("strategies", *words, "--json", tmp_path / "s.json")[0] == 0
    status, _, errors = cachekit(
        "run", "--strategy", "odd", *words, "--steps", 4, "--out", tmp_path / "o", "--prompt", "x"
    )
    assert (status, len(errors.strip().splitlines())) == (2, 1), errors


def test_a_profile_folder_with_a_damaged_profile_stops_nobody_else(cachekit, odd, tmp_path):
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "bad.json").write_text("{")
    source = HEAD.format(method="pass").replace(
        'register("odd", Odd)',
        f'import pathlib; register("odd", Odd, profiles=pathlib.Path({str(tmp_path / "profiles")!r}))',
    )
    status, _, errors = cachekit("plan", "magcache", *odd(source))
    assert (status, "bad.json" in errors) == (0, True), errors


MODEL = """
import attrs, cachekit
@attrs.define
class Liar(cachekit.Model):
    '''A model of nonsense.'''
    transformer_class = "Liar"
    steps = 4
    guidance_scale = 1.0
    sampler = "none"
    example_prompts = ("a",)
    {lie}
    def architecture(self):
        return {{"width": 1}}
    def timesteps(self, steps):
        return tuple(range(steps))
    def load(self, *, device, dtype):
        raise OSError("no such weights")
    {method}
@cachekit.hookimpl
def cachekit_models(register):
    register("liar", Liar)
"""


@pytest.mark.parametrize(
    ("lie", "method", "named"),
    [
        ("", "", "load of Liar"),
        ("steps = 'many'", "", "steps"),
        ("guidance_scale = float('nan')", "", "guidance"),
        ("example_prompts = 'a'", "", "example_prompts"),
        ("sampler = None", "", "sampler"),
        ("", "def architecture(self): return 3", "architecture of Liar"),
        ("", "def architecture(self): return 1 / 0", "architecture of Liar"),
        ("", "def timesteps(self, steps): return (1.0,)", "timesteps of Liar"),
        ("", "def timesteps(self, steps): return [float('nan')] * steps", "timesteps of Liar"),
        ("", "def load(self, *, device, dtype): return 3", "load of Liar"),
        ("", "def load(self): return 3", "load of Liar"),
    ],
)
def test_a_model_that_lies(cachekit, odd, tmp_path, lie, method, named):
    words = odd(MODEL.format(lie=lie, method=method))
    status, _, errors = cachekit(
        "run", "--model", "liar", *words, "--strategy", "fixed", "--set", "pattern=XXXX", "--out", tmp_path / "o"
    )
    assert (status, named in errors, len(errors.strip().splitlines())) == (2, True, 1), errors
    assert not (tmp_path / "o").exists()
