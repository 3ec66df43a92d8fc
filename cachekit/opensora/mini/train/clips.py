"""Rendered clips for training, kept as bytes."""

from collections.abc import Sequence
from pathlib import Path

import attrs
import torch

from cachekit.opensora.mini import scenes


@attrs.frozen
class Clips:
    """`frames` `[N, 3, F, H, W]` uint8, `masks` `[N, F, H, W]` bool, and the prompt of each."""

    frames: torch.Tensor
    masks: torch.Tensor
    prompts: list[str]

    def batch(self, indices: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Frames in [-1, 1] and masks in {0, 1} of the clips at `indices`, as floats."""
        return self.frames[indices].float() / 127.5 - 1, self.masks[indices].float()


@attrs.frozen
class Draw:
    """How much likelier some clips are drawn than others."""

    square_spins: float = 2.0
    """Of those in which a square spins: few do, and they come out worst."""
    single: float = 1.5
    """Of those of one object, which a model that knows two too easily shows twice."""

    def weights(self, prompts: Sequence[str]) -> torch.Tensor:
        """A weight `[N]` for the clip of each prompt."""
        return torch.tensor([self._weight(prompt) for prompt in prompts])

    def _weight(self, prompt: str) -> float:
        if "square spins" in prompt:
            return self.square_spins
        return 1.0 if " and " in prompt else self.single


EVENLY = Draw(square_spins=1.0, single=1.0)


def render_clips(count: int, seed: int, *, single_share: float = 0.6) -> Clips:
    """`count` seeded clips of training sentences (none held out), this share of them of one object."""
    frames = torch.empty(count, 3, scenes.FRAMES, scenes.HEIGHT, scenes.WIDTH, dtype=torch.uint8)
    masks = torch.empty(count, scenes.FRAMES, scenes.HEIGHT, scenes.WIDTH, dtype=torch.bool)
    prompts = []
    for i, scene in zip(
        range(count), scenes.draw_scenes(seed, held_out=False, single_share=single_share), strict=False
    ):
        clip, mask = scenes.render(scene, seed=seed * count + i)
        frames[i] = ((clip + 1) * 127.5).round().to(torch.uint8)
        masks[i] = mask > 0.05
        prompts.append(scene.prompt)
    return Clips(frames, masks, prompts)


def load_or_render(path: Path, count: int, seed: int) -> Clips:
    """The clips in `path`, rendered first where the file is missing."""
    if not path.exists():
        clips = render_clips(count, seed)
        torch.save({"frames": clips.frames, "masks": clips.masks, "prompts": clips.prompts}, path)
        return clips
    return Clips(**torch.load(path, weights_only=True))
