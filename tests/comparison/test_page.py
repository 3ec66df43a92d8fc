"""The report's page in a real browser: it opens from disk, quickly, with its plot drawn and its videos playing."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tiny_model import CIRCLE, SQUARE, Cachekit

from cachekit.comparison.page import script_safe

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1280,1600",
)
BASELINES = ("even", "spaced", "spaced, ab2", "spaced, dpm2m")
"""How the model runs at fewer steps, for each count of computed steps."""
HOSTILE = "a red circle </script><b>& 'moves' \"left\" over the sea"


@pytest.fixture
def report(cachekit: Cachekit, weights: Path, tmp_path: Path) -> Path:
    pytest.importorskip("jinja2", reason="the report's page needs jinja2: pip install 'cachekit-dit[report]'")
    grid = ("--strategy", "fixed:pattern=XXXX..XX,XX..X..X", "--predictor", "reuse,taylor", "--metrics", "psnr,ssim")
    prompts = ("--prompt", CIRCLE, "--prompt", SQUARE, "--prompt", HOSTILE)
    folder = tmp_path / "report"
    status, _, errors = cachekit("compare", "--weights", weights, "--steps", 8, *prompts, *grid, "--report", folder)
    assert status == 0, errors
    return folder


@pytest.fixture
def browser() -> Iterator[object]:
    webdriver = pytest.importorskip("selenium.webdriver", reason="looking at the page needs selenium")
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("looking at the page needs Debian's chromium and chromium-driver")
    options = webdriver.ChromeOptions()
    for flag in FLAGS:
        options.add_argument(flag)
    options.binary_location = chromium
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    opened = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    opened.set_script_timeout(30)
    yield opened
    opened.quit()


def test_the_page_is_one_small_file_that_asks_nothing_of_the_network(report: Path) -> None:
    text = (report / "index.html").read_text(encoding="utf-8")
    assert len(text.encode()) < 5_000_000
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", text)
    assert not re.search(r"@import|fetch\(|XMLHttpRequest|import\s*\(", text)
    assert text.count("</script>") == 2


def test_the_page_in_chromium(report: Path, browser: object) -> None:
    opened = browser
    seconds = []
    for _ in range(3):
        opened.get((report / "index.html").as_uri())  # type: ignore[attr-defined]
        script = "const [n] = performance.getEntriesByType('navigation'); return n.loadEventStart - n.startTime"
        seconds.append(opened.execute_script(script) / 1000)  # type: ignore[attr-defined]
    assert min(seconds) < 2, f"opened in {seconds} s"

    def ask(script: str) -> object:
        return opened.execute_script(script)  # type: ignore[attr-defined]

    labels = ask("return [...document.querySelectorAll('#plot .point')].map((p) => p.dataset.label)")
    assert isinstance(labels, list)
    settings, intervals = 4, 4
    fewer = [6] * len(BASELINES) + [4] * len(BASELINES)
    assert len(set(labels)) == settings + len(fewer) + intervals
    assert ask("return document.querySelector('#plot .frontier').getTotalLength() > 0")

    tip = ask(
        "document.querySelector('#plot .point').dispatchEvent(new Event('mouseenter'));"
        "const tip = document.getElementById('tip'); return tip.hidden ? null : tip.textContent"
    )
    assert str(tip).startswith(labels[0])

    head = "document.querySelectorAll('#table th')[{column}].click();"
    computed = "return [...document.querySelectorAll('#table tbody tr')].map((r) => r.cells[1].textContent)"
    descending, ascending = (ask(head.format(column=1) + computed) for _ in range(2))
    assert isinstance(descending, list)
    assert [float(cell) for cell in descending] == sorted(map(float, descending), reverse=True)
    assert ascending == descending[::-1] or sorted(descending, key=float) == ascending
    strips = ask("return document.querySelectorAll('#table tbody svg rect').length")
    assert strips == 8 * (1 + settings + intervals) + sum(fewer)

    assert (
        ask(
            "document.getElementById('shown').value = 'all';"
            "document.getElementById('shown').dispatchEvent(new Event('change'));"
            "return document.querySelector('#videos b').textContent"
        )
        == "uncached"
    )
    for prompt in (0, 2):
        playing = opened.execute_async_script(PLAYS, str(prompt))  # type: ignore[attr-defined]
        assert len(playing) == 1 + settings + len(fewer) + intervals
        assert all(video["width"] == 64 and video["moved"] and not video["error"] for video in playing), playing
    errors = [entry for entry in opened.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]  # type: ignore[attr-defined]
    assert errors == []


PLAYS = """
const [prompt, done] = arguments;
const select = document.getElementById("prompt");
select.value = prompt;
select.dispatchEvent(new Event("change"));
const videos = [...document.querySelectorAll("#videos video")];
const moved = (v) => !v.paused && v.played.length > 0 && v.played.end(v.played.length - 1) > 0.1;
const state = (v) => ({ width: v.videoWidth, moved: moved(v), error: v.error && v.error.message });
const started = Date.now();
const timer = setInterval(() => {
  if (videos.every((v) => v.error || moved(v)) || Date.now() - started > 20000) {
    clearInterval(timer);
    done(videos.map(state));
  }
}, 50);
"""


def test_a_page_plays_as_many_prompts_as_it_is_told(cachekit: Cachekit, weights: Path, tmp_path: Path) -> None:
    prompts = ("--prompt", CIRCLE, "--prompt", SQUARE, "--baselines", 2, "--metrics", "psnr")
    given = ("--weights", weights, "--steps", 4, *prompts, "--strategy", "fixed:pattern=XX.X", "--previews", 1)
    status, _, errors = cachekit("compare", *given, "--report", tmp_path / "report")
    assert status == 0, errors
    content = json.loads((tmp_path / "report" / "results.json").read_text(encoding="utf-8"))
    assert {len(row["videos"]) for row in content["rows"]} == {2}
    made = {
        path.relative_to(tmp_path / "report" / "previews") for path in (tmp_path / "report").rglob("previews/*/*.mp4")
    }
    first = {Path(row["videos"][0]["file"]) for row in content["rows"]}
    assert {(path.parent.name, path.stem) for path in made} == {(path.parent.name, path.stem) for path in first}
    status, _, errors = cachekit("compare", *given[:-1], 0, "--report", tmp_path / "report")
    assert status == 0, errors
    assert "previews/" not in (tmp_path / "report" / "index.html").read_text(encoding="utf-8")


def test_nothing_in_the_data_ends_its_script_element() -> None:
    assert "<" not in script_safe({"prompt": "</script><script>alert(1)</script>"})
