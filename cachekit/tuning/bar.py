"""What a setting must reach, and how settings are ranked by it."""

from __future__ import annotations

import math

import attrs


@attrs.frozen
class Figures:
    """What a setting reached over some prompts."""

    psnr: float
    """dB against the uncached model, the mean over the videos; 0 where its speed alone ruled it out."""
    worst_psnr: float
    ideal_speedup: float
    """Steps over computed steps."""
    speedup: float | None
    """Of denoising, measured: the median over the videos; None where nothing was run."""


@attrs.frozen
class Bar:
    """Either the least ideal speedup, at which quality is sought, or the least PSNR, at which speed is."""

    min_speedup: float | None = None
    min_psnr: float | None = None

    def met(self, figures: Figures) -> bool:
        return self.shortfall(figures) <= 0

    def shortfall(self, figures: Figures) -> float:
        """By how much the bar is missed; 0 or less where it is met."""
        if self.min_speedup is not None:
            return self.min_speedup - figures.ideal_speedup - 1e-9
        return (self.min_psnr or 0.0) - figures.psnr

    def rules_out(self, ideal_speedup: float) -> bool:
        """Whether a setting of this speed can't meet the bar whatever its quality."""
        return self.min_speedup is not None and ideal_speedup < self.min_speedup - 1e-9

    def score(self, figures: Figures) -> float:
        """What the search raises: the figure sought where the bar is met, else something below all of those."""
        missing = self.shortfall(figures)
        if missing > 0:
            return -missing
        sought = figures.psnr if self.min_speedup is not None else figures.ideal_speedup
        return sought if math.isfinite(sought) else 0.0

    def __str__(self) -> str:
        if self.min_speedup is not None:
            return f"an ideal speedup of at least {self.min_speedup:g}"
        return f"a PSNR of at least {self.min_psnr:g} dB"
