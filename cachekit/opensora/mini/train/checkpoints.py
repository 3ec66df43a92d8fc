"""Training state on disk: written aside and renamed, so that a killed training goes on from the last one."""

import time
from collections.abc import Callable
from pathlib import Path

import attrs
import torch


@attrs.define
class Checkpoint:
    """Everything a training loop needs to go on: modules, optimisers and the step, by name."""

    path: Path
    parts: dict[str, object]
    every_seconds: float = 120.0
    _saved_at: float = attrs.field(factory=time.monotonic, init=False)

    def load(self) -> int:
        """Restore every part and return the step to go on from; 0 where there is no checkpoint."""
        if not self.path.exists():
            return 0
        state = torch.load(self.path, weights_only=True)
        for name, part in self.parts.items():
            part.load_state_dict(state[name])  # type: ignore[attr-defined]
        return int(state["step"])

    def save(self, step: int) -> None:
        state = {name: part.state_dict() for name, part in self.parts.items()}  # type: ignore[attr-defined]
        aside = self.path.with_suffix(".tmp")
        torch.save({**state, "step": step}, aside)
        aside.replace(self.path)
        self._saved_at = time.monotonic()

    def save_when_due(self, step: int) -> None:
        if time.monotonic() - self._saved_at > self.every_seconds:
            self.save(step)


def step_generator(seed: int, step: int) -> torch.Generator:
    """Randomness of one training step, the same whether or not training was interrupted before it."""
    return torch.Generator().manual_seed(seed * 1_000_003 + step)


def warmup_then_decay(step: int, steps: int, *, warmup: int, decay_share: float) -> float:
    """Learning rate factor: linear warm-up, constant, then linear to zero over the last `decay_share`."""
    decay = max(1, round(steps * decay_share))
    return min(1.0, (step + 1) / warmup, (steps - step) / decay)


@attrs.define
class ProgressLog:
    """Prints a line every `every` steps: step, smoothed loss and seconds a step."""

    every: int
    write: Callable[[str], None] = print
    _loss: float | None = None
    _since: float = attrs.field(factory=time.monotonic, init=False)

    def step(self, step: int, loss: float) -> None:
        self._loss = loss if self._loss is None else 0.98 * self._loss + 0.02 * loss
        if (step + 1) % self.every == 0:
            seconds = (time.monotonic() - self._since) / self.every
            self._since = time.monotonic()
            self.write(f"step {step + 1}  loss {self._loss:.4f}  {seconds:.2f} s/step")
