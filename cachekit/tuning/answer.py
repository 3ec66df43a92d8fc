"""What a search found: in words, as data, and as a settings file that `cachekit run --config` takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from cachekit.files.text import plain
from cachekit.files.writing import write_whole
from cachekit.generation.manifest import Setting
from cachekit.tuning.bar import Bar, Figures
from cachekit.tuning.search import Tried


@attrs.frozen
class Answer:
    """The best setting, and what it reached where it was searched and where it was checked."""

    best: Tried
    checked: Figures
    bar: Bar
    searched_prompts: int
    checked_prompts: int

    @property
    def holds(self) -> bool:
        """Whether the bar is met on the prompts that the search did not see, too."""
        return self.bar.met(self.checked)

    @property
    def lines(self) -> list[str]:
        lines = [
            self.best.label,
            f"on the {self.searched_prompts} prompts searched: {said(self.best.figures)}",
            f"on {self.checked_prompts} other prompts: {said(self.checked)}",
        ]
        if not self.holds:
            lines.append(f"On the other prompts it does not reach {self.bar}: ask for more, or search on more.")
        return lines


def said(figures: Figures) -> str:
    """Figures in words."""
    if figures.speedup is None:
        return f"ideal speedup {figures.ideal_speedup:.2f}"
    return (
        f"PSNR {figures.psnr:.2f} dB (worst video {figures.worst_psnr:.2f}), "
        f"ideal speedup {figures.ideal_speedup:.2f}, measured {figures.speedup:.2f}"
    )


def nothing_met(bar: Bar, tried: Sequence[Tried]) -> str:
    """The honest answer where there is none."""
    nearest = f"; the nearest was {tried[0].label}, with {said(tried[0].figures)}" if tried else ""
    return f"Nothing that was tried reaches {bar}{nearest}."


def as_dict(tried: Tried) -> dict[str, Any]:
    return {
        "strategy": tried.strategy.name,
        "set": tried.strategy.settings,
        "predictor": tried.predictor.spec,
        **attrs.asdict(tried.figures),
    }


def write_settings(path: Path, answer: Answer, base: Setting, others: Mapping[str, str | None], command: str) -> None:
    """The settings in TOML, with how they were found and what they reach in comments."""
    import tomli_w

    best = answer.best
    values: dict[str, object] = {
        "model": base.model,
        **{name: value for name, value in others.items() if value is not None},
        "strategy": best.strategy.name,
        "set": [f"{key}={value}" for key, value in best.strategy.settings.items()],
        "predictor": best.predictor.spec,
        "steps": base.steps,
        "guidance-scale": base.guidance_scale,
        "dtype": base.dtype,
    }
    comments = "".join(f"# {plain(comment)}\n" for comment in (command, *answer.lines[1:]))
    write_whole(path, comments + tomli_w.dumps(values), "the settings file")
