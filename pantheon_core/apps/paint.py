"""A scaffold becomes a video: the model paints it, covered pixels can stay the photograph's."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ..diffusion import (
    FusionSettings,
    PantheonModel,
    Preview,
    SamplerSettings,
    compose_with_scaffold,
    generate,
)
from ..errors import Progress
from .scaffold import Scaffold

__all__ = ["Painting", "paint"]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Painting:
    """A generated video.

    Attributes:
        frames: (T, 3, H, W) 0 to 1.
        latents: (1, T, 4, h, w) as the sampler left them, before the VAE.
    """

    frames: Tensor
    latents: Tensor


def paint(
    model: PantheonModel,
    scaffold: Scaffold,
    *,
    settings: SamplerSettings,
    fusion: FusionSettings | None = None,
    keep_scaffold: float | None = None,
    progress: Progress | None = None,
    preview: Preview | None = None,
) -> Painting:
    """Generate the video of a scaffold.

    Args:
        model: the video model.
        scaffold: frames, coverage and anchors.
        settings: of the sampler.
        fusion: blends forward and time-reversed denoising; needs a scaffold with two anchors.
        keep_scaffold: 0 leaves the decoded frames as they are, 1 keeps the scaffold's own pixels where it
            covers and fits the painted ones to them; None takes what the model was made for.
        progress: called with (steps done, steps).
        preview: called with every step's prediction.

    Raises:
        InputError: settings out of range, or fusion without a second anchor.
        InterruptedByUser: raised by `progress`.
    """
    made = generate(
        model,
        scaffold.rgb,
        scaffold.coverage,
        list(scaffold.anchors),
        settings=settings,
        fusion=fusion,
        progress=progress,
        preview=preview,
    )
    strength = model.config.keep_scaffold if keep_scaffold is None else keep_scaffold
    frames = compose_with_scaffold(made.frames, scaffold.rgb, scaffold.coverage, strength)
    return Painting(frames=frames, latents=made.latents)
