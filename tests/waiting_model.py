"""A model that takes its time and little else: what dealing work out costs shows beside it. It is a plugin."""

import hashlib
import os
import time
from pathlib import Path

import attrs
import torch
from stand_ins import OpenSoraLike

import cachekit


@attrs.define
class WaitingPipeline(cachekit.Pipeline):
    """Frames of one colour each, which prompt, seed and the transformer's output tell."""

    seconds: float
    fatal: str
    pids: str
    transformer: torch.nn.Module = attrs.field(init=False)
    fps: float = attrs.field(default=8.0, init=False)

    def __attrs_post_init__(self):
        torch.manual_seed(0)
        self.transformer = OpenSoraLike()
        if self.pids:
            (Path(self.pids) / str(os.getpid())).touch()

    def timesteps(self, steps):
        return tuple(1000.0 * (1 - step / steps) for step in range(steps))

    def encode_text(self, prompt):
        return prompt

    def denoise(self, text, *, seed, steps, guidance_scale, on_step=None):
        if self.fatal and self.fatal in text:
            os.kill(os.getpid(), 9)
        if "cannot be made" in text:
            raise ValueError("it cannot be made")
        time.sleep(self.seconds)
        number = int.from_bytes(hashlib.sha256(f"{text} {seed}".encode()).digest()[:4], "big")
        generator = torch.Generator().manual_seed(number)
        x = torch.randn(1, 4, 4, generator=generator)
        y = torch.randn(1, 3, 16, generator=generator)
        with torch.no_grad():
            for step, timestep in enumerate(self.timesteps(steps)):
                x = x + self.transformer(x, torch.full((1,), timestep), y) / steps
                if on_step is not None:
                    on_step(step + 1)
        return x

    def decode(self, latents):
        colours = (latents[0].tanh() * 127 + 128).round().to(torch.uint8)
        return colours[:, None, None, :3].expand(4, 16, 16, 3).contiguous()


@attrs.define
class Waiting(cachekit.Model):
    """Waits, and makes a video of four frames."""

    transformer_class = "OpenSoraLike"
    steps = 4
    guidance_scale = 1.0
    sampler = "none"
    example_prompts = ("a", "b")

    seconds: float = 0.02
    """How long a video takes."""
    fatal: str = ""
    """A prompt that holds this kills its process."""
    pids: str = ""
    """A folder in which each process that loads the model leaves its number."""

    def architecture(self):
        return {"hidden_size": 16, "depth": 2}

    def timesteps(self, steps):
        return tuple(1000.0 * (1 - step / steps) for step in range(steps))

    def load(self, *, device, dtype):
        return WaitingPipeline(self.seconds, self.fatal, self.pids)


@cachekit.hookimpl
def cachekit_models(register):
    register("waiting", Waiting)
