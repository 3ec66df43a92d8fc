"""The rectified-flow sampler of Open-Sora 1.2 (opensora/schedulers/rf at tag v1.2.0).

A rectified flow moves along straight lines between noise at timestep 1000 and data at 0; the transformer predicts the
velocity, and Euler steps follow it (arXiv 2209.03003).
"""

from collections.abc import Callable

import attrs
import torch

from cachekit.opensora.solvers import Euler, solver_named, spaced

TRAINING_TIMESTEPS = 1000
BASE_RESOLUTION = 512 * 512
"""Pixels of a frame at which the timestep transform changes nothing."""


def transform_timestep(
    t: torch.Tensor, *, height: torch.Tensor, width: torch.Tensor, num_frames: torch.Tensor
) -> torch.Tensor:
    """Timesteps `t` `[B]` moved towards noise for videos larger than 512x512x1, towards data for smaller ones.

    With r = sqrt(pixels / 512^2) * sqrt(latent frames): t' = r t / (1 + (r - 1) t), t in units of 1000.
    """
    fraction = t / TRAINING_TIMESTEPS
    frames = torch.where(num_frames == 1, torch.ones_like(num_frames), num_frames // 17 * 5)
    ratio = (height * width / BASE_RESOLUTION).sqrt() * frames.sqrt()
    return ratio * fraction / (1 + (ratio - 1) * fraction) * TRAINING_TIMESTEPS


Model = Callable[..., torch.Tensor]


@attrs.frozen
class RFlowSampler:
    """Steps along the flow, Euler's unless told otherwise, with classifier-free guidance in one batch."""

    steps: int = 30
    guidance_scale: float = 7.0
    use_timestep_transform: bool = True
    spacing: float | None = None
    """How much more of the steps lie near noise than even ones; None as 1."""
    solver: str | None = None
    """Name of the solver (`cachekit.opensora.solvers`); None for Euler's."""

    def timesteps(self, *, height: torch.Tensor, width: torch.Tensor, num_frames: torch.Tensor) -> list[torch.Tensor]:
        """The timestep `[B]` of each step, from 1000 downwards, for videos of these sizes (each `[B]`)."""
        even = [(1.0 - i / self.steps) * TRAINING_TIMESTEPS for i in range(self.steps)]
        if self.spacing is not None:
            even = [spaced(value / TRAINING_TIMESTEPS, self.spacing) * TRAINING_TIMESTEPS for value in even]
        steps = [torch.full_like(height, value, dtype=torch.float32) for value in even]
        if not self.use_timestep_transform:
            return steps
        return [transform_timestep(t, height=height, width=width, num_frames=num_frames) for t in steps]

    @torch.no_grad()
    def sample(
        self,
        model: Model,
        z: torch.Tensor,
        *,
        y: torch.Tensor,
        y_null: torch.Tensor,
        mask: torch.Tensor | None,
        fps: torch.Tensor,
        height: torch.Tensor,
        width: torch.Tensor,
        num_frames: torch.Tensor,
        on_step: Callable[[int], None] | None = None,
    ) -> torch.Tensor:
        """Denoise `z` `[B, C, T, H, W]`, standard normal, into latents of the same shape.

        `y` and `y_null` are the captions' embeddings and those of no caption, `[B, 1, L, C]`; both guidance branches
        go through `model` in one batch, captions first. `on_step` is called with the number of steps done.
        """
        captions = torch.cat([y, y_null])
        timesteps = self.timesteps(height=height, width=width, num_frames=num_frames)
        solver = solver_named(self.solver)
        following = [*timesteps[1:], torch.zeros_like(timesteps[0])]
        for index, (t, t_next) in enumerate(zip(timesteps, following, strict=True)):
            output = model(
                torch.cat([z, z]),
                torch.cat([t, t]),
                y=captions,
                mask=mask,
                fps=fps,
                height=height,
                width=width,
                num_frames=num_frames,
            )
            conditional, unconditional = output[:, : z.shape[1]].chunk(2)
            velocity = unconditional + self.guidance_scale * (conditional - unconditional)
            if isinstance(solver, Euler) and type(solver) is Euler:
                z = z + velocity * ((t - t_next) / TRAINING_TIMESTEPS)[:, None, None, None, None]
            else:
                now, after = (float(time[0]) / TRAINING_TIMESTEPS for time in (t, t_next))
                z = solver.step(z, velocity, now, after)
            if on_step is not None:
                on_step(index + 1)
        return z
