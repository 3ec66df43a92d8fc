"""DiCache's predictor (arXiv 2508.17356, section 3.3)."""

from __future__ import annotations

import attrs
from attrs import validators

import cachekit
from cachekit import Residual, add, combine, finite, streams, subtract


@attrs.define
class Aligned(cachekit.Predictor):
    """Go on from the last two residuals as far as the first blocks have gone on: for strategies with a head.

    All residuals here are the whole body's, from its input, as in the paper; the span's is what is left after the head.
    Without a head γ is 1 and this is `reuse`.
    """

    longest: float = attrs.field(
        default=2.0,
        validator=[finite, validators.ge(1)],
        metadata={"help": "greatest γ: 1 repeats the last residual (Wan 2, HunyuanVideo and FLUX 1.5)"},
    )
    _kept: list[tuple[Residual, Residual]] = attrs.field(factory=list, init=False, repr=False)
    """Of the last two computed steps what the body added, and what its head did."""

    def update(self, step: cachekit.Step, residual: Residual) -> None:
        head = subtract(step.hidden, step.entry)
        self._kept = [*self._kept, (add(head, residual), head)][-2:]

    def predict(self, step: cachekit.Step) -> Residual:
        head = subtract(step.hidden, step.entry)
        body = self._kept[-1][0]
        if len(self._kept) == 2:
            (older, older_head), (newer, newer_head) = self._kept
            now, before, last = (streams(probe)[0] for probe in (head, older_head, newer_head))
            moved, distance = step.means(now - before, last - before)
            gamma = (moved / distance).nan_to_num(nan=1.0).clamp(1.0, self.longest)
            drift = subtract(newer, older)
            scaled = tuple((stream * gamma).to(stream.dtype) for stream in streams(drift))
            body = add(older, scaled if isinstance(older, tuple) else scaled[0])
        return combine([1.0, -1.0], [body, head])
