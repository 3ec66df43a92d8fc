"""The lines: each a command that works, with one to three of its words made hostile; the same for the same seed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random

from tests.campaign.material import DEEP, LONG, PROMPT

NUMBERS = ("0", "-1", "1", "2", "3.5", "nan", "inf", "-inf", "1e999", "1e308", "9" * 30, "9" * 400, LONG, "", " ", "x",
           "true", "null", "[1]", "\uff11\uff12", "1_0", "0x10", "1..2", "0.1..inf", "99999999999")  # fmt: skip
TEXTS = ("", " ", "[bold]x[/bold]", "[/bold]", "[batch, tokens, width]", "\x1b[31mred", "\x1b]0;title\x07", "\u202eabc",
         "\udcff", "\udcc3\udc28", "a\nb", "a\tb", "x" * 4000, "'; rm -rf .", '{"prompt": "a"}', DEEP, LONG, "日本語",
         "none", "=", ":", ",", "a=b=c", "..", "--help", "-", "%s%n", "{}", "null", "\ufeff")  # fmt: skip
STRATEGIES = ("magcache", "teacache", "uniform", "fixed", "gramcache", "none", "magcash")
PREDICTORS = ("reuse", "taylor", "damped", "taylor:order=2", "damped:slope=0.3", "taylro")
SETTINGS = (
    "thresh={n}",
    "K={n}",
    "computed={n}",
    "pattern={t}",
    "ratios={n}",
    "order={n}",
    "{t}={n}",
    "thresh={t}",
    "K",
)
OUTS = ("out", "o/[/bold]", "deep/er/still", "\x1b[31mout", "new\nline", "\udcff", "x" * 300, "", ".", "a file", "~",
        "/dev/null", "/dev/full", "/proc/nothing", "out/", "-")  # fmt: skip
JSONS = ("-", "r.json", "no/folder/r.json", "/dev/full", "/dev/null", "/dev/stdout", ".", "", "out", "[/bold].json",
         "\udcff.json", "x" * 300, "/proc/r.json")  # fmt: skip


class Lines:
    """Draws command lines; every file that it names but for the results is one of the material's."""

    def __init__(self, material: dict[str, list[Path]], seed: int) -> None:
        self.material, self.random = material, Random(seed)

    def draw(self, count: int) -> Iterator[list[str]]:
        commands = (self.run, self.plan, self.compare, self.calibrate, self.tune, self.eval, self.listing, self.other)
        weights = (30, 14, 10, 12, 10, 12, 8, 4)
        for _ in range(count):
            yield self.random.choices(commands, weights)[0]()

    def run(self) -> list[str]:
        return ["run", *self.hostile({
            "--strategy": self.strategy(), "--set": None, "--predictor": None, "--profile": None, "--prompt": PROMPT,
            "--prompts": None, "--model": None, "--weights": self.good(), "--steps": "2", "--guidance-scale": None,
            "--seed": None, "--videos-per-prompt": None, "--out": "out", "--format": None, "--device": None,
            "--dtype": None, "--json": None, "--config": None, "--plugin": None, "--overwrite": None, "--verify": None,
            "--offload": None,
        })]  # fmt: skip

    def plan(self) -> list[str]:
        return ["plan", self.strategy(), *self.hostile({
            "--set": None, "--predictor": None, "--profile": None, "--model": None, "--steps": "8", "--json": None,
            "--plugin": None,
        })]  # fmt: skip

    def compare(self) -> list[str]:
        return ["compare", *self.hostile({
            "--strategy": "uniform:computed=1", "--predictor": "reuse", "--profile": None, "--model": None,
            "--weights": self.good(), "--prompt": PROMPT, "--prompts": None, "--steps": "2", "--guidance-scale": None,
            "--seed": None, "--metrics": "psnr", "--lpips-weights": None, "--report": "report", "--json": None,
            "--config": None, "--format": None,
        })]  # fmt: skip

    def calibrate(self) -> list[str]:
        if self.random.random() < 0.3:
            files = [str(self.random.choice(self.material["profile"])) for _ in range(self.random.randint(0, 3))]
            return ["calibrate", "--merge", *files, *self.hostile({"--out": "p.json", "--json": None})]
        return ["calibrate", self.random.choice(STRATEGIES[:5]), *self.hostile({
            "--model": None, "--weights": self.good(), "--prompt": PROMPT, "--prompts": None, "--steps": "4",
            "--guidance-scale": None, "--seed": None, "--videos-per-prompt": None, "--out": "p.json", "--json": None,
        })]  # fmt: skip

    def tune(self) -> list[str]:
        return ["tune", self.random.choice(("uniform", "magcache", "none", "x")), *self.hostile({
            self.random.choice(("--min-psnr", "--min-speedup")): "1", "--search": "computed=1,2", "--set": None,
            "--predictor": "reuse", "--profile": None, "--trials": "2", "--weights": self.good(), "--prompt": PROMPT,
            "--prompts": None, "--check-prompts": str(self.material["prompts"][4]), "--steps": "3", "--seed": None,
            "--guidance-scale": None, "--folder": "tune", "--out": None, "--json": None,
        })]  # fmt: skip

    def eval(self) -> list[str]:
        videos = str(self.material["video"][0])
        return ["eval", *self.hostile({
            "--gt": videos, "--gen": videos, "--metrics": "psnr", "--lpips-weights": None, "--csv": None,
            "--json": None,
            "--threads": None, "--resize": None, "--common-frames": None, "--per-frame": None,
        })]  # fmt: skip

    def listing(self) -> list[str]:
        command = self.random.choice(("strategies", "predictors", "models", "adapters", "plugins"))
        return [command, *self.hostile({"--json": None, "--plugin": None})]

    def other(self) -> list[str]:
        return self.random.choice((
            [], ["--version"], ["--help"], ["rum"], [self.text()], ["run", "--help"], ["run", self.text()], ["plan"],
            ["bench", "--threads", self.random.choice(NUMBERS), "--rounds", "x"],
            ["bench", "--rounds", self.random.choice(("nan", LONG))],
            ["tune"], ["eval"], ["calibrate"], ["eval", "--gt", self.text(), "--gen", self.text()],
        ))  # fmt: skip

    def hostile(self, options: dict[str, str | None]) -> list[str]:
        """The options that have a value, with up to three of them, or of those left out, made hostile."""
        chosen = dict(options)
        for option in self.random.sample(list(options), min(len(options), self.random.choice((0, 1, 1, 1, 2, 3)))):
            chosen[option] = self.value(option)
        words = []
        for option, value in chosen.items():
            if value is None:
                continue
            flag = option in ("--overwrite", "--verify", "--offload", "--resize", "--common-frames", "--per-frame")
            words += [option] if flag else [option, value]
        return [word for word in words if "\0" not in word]

    def value(self, option: str) -> str:
        draw = self.random.choice
        if option in ("--steps", "--seed", "--videos-per-prompt", "--guidance-scale", "--trials", "--threads",
                      "--min-psnr", "--min-speedup"):  # fmt: skip
            return draw(
                [
                    number
                    for number in NUMBERS
                    if option != "--videos-per-prompt" or not number.isdecimal() or len(number) != 11
                ]
            )
        kinds = {"--profile": "profile", "--prompts": "prompts", "--check-prompts": "prompts", "--config": "config",
                 "--weights": "weights"}  # fmt: skip
        if option in kinds:
            return str(draw(self.material[draw((kinds[option], kinds[option], "anything"))]))
        if option in ("--gt", "--gen", "--lpips-weights"):
            return draw((str(draw(self.material["anything"])), str(self.material["video"][0].parent), self.text()))
        if option == "--set":
            return draw(SETTINGS).format(n=draw(NUMBERS), t=draw(TEXTS))
        if option == "--search":
            return draw(
                (
                    f"computed={draw(NUMBERS)}..{draw(NUMBERS)}",
                    f"{draw(TEXTS)}=1..2",
                    f"computed={draw(NUMBERS)},2",
                    self.text(),
                )
            )
        if option == "--strategy":
            return draw(
                (self.strategy(), f"{self.strategy()}:{draw(SETTINGS).format(n=draw(NUMBERS), t='x')}", self.text())
            )
        if option == "--predictor":
            return draw(
                (draw(PREDICTORS), f"taylor:order={draw(NUMBERS)}", f"damped:slope={draw(NUMBERS)}", self.text())
            )
        if option == "--model":
            mini = f"opensora-mini:weights={draw(self.material['weights'])}"
            options = (f"num_frames={draw(NUMBERS)}", f"fps={draw(NUMBERS)}", "weights=.", "weights=random:small")
            return draw((mini, self.text(), f"opensora:{draw(options)}"))
        if option in ("--out", "--report", "--folder"):
            return draw(OUTS)
        if option in ("--json", "--csv"):
            return draw(JSONS)
        return draw((self.text(), "mkv", "cpu", "float16", "bfloat16"))

    def strategy(self) -> str:
        return self.random.choice(STRATEGIES)

    def good(self) -> str:
        return str(self.material["good weights"][0])

    def text(self) -> str:
        return self.random.choice(TEXTS)
