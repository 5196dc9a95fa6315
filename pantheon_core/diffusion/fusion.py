"""Latent fusion: a forward path from the start anchor and a time-reversed path from the end anchor, blended.

Source: Feng et al., Explorative Inbetweening of Time and Space (2024, arXiv 2403.14611). At a given x and
sigma an Euler step is affine in x0, so blending the predictions x0 is blending the stepped latents; and it
serves any other sampler.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from ..check import check_shape
from ..errors import InputError
from .denoiser import Denoise
from .reinjection import check_reinjection

__all__ = ["FusedDenoiser", "FusionSettings", "frame_weights"]

Weights = Literal["linear", "cosine", "sigmoid", "forward"]


@dataclass(frozen=True, kw_only=True, slots=True)
class FusionSettings:
    """How the two paths are blended.

    Attributes:
        weights: share of the forward path over the frames, 1 at the first and 0 at the last: "linear" (the
            paper's), "cosine", "sigmoid"; or "forward", which leaves the reverse path out.
        sharpness: of "sigmoid": its slope against the linear one's, about; more than 0.
        forward_below: noise level below which the forward path runs alone: half the work there, and the last
            details are one path's. 0 blends to the end.
        reinject_steps: length L of the windows of steps that are repeated with fresh noise; 0 for none.
        reinject_repeats: how often each window is repeated, K; 0 for none.
        reinject_until: the windows lie side by side in this first part of the steps, more than 0, up to 1.
    """

    weights: Weights = "linear"
    sharpness: float = 10.0
    forward_below: float = 0.0
    reinject_steps: int = 0
    reinject_repeats: int = 0
    reinject_until: float = 0.5

    def __post_init__(self) -> None:
        if self.weights not in get_args(Weights):
            raise InputError(
                f"FusionSettings.weights: expected one of {get_args(Weights)}, got {self.weights!r}"
            )
        if not (math.isfinite(self.sharpness) and self.sharpness > 0):
            raise InputError(f"FusionSettings.sharpness: expected a number above 0, got {self.sharpness!r}")
        if not 0.0 <= self.forward_below < math.inf:
            raise InputError(
                "FusionSettings.forward_below: expected a noise level of 0 or more, got "
                f"{self.forward_below!r}"
            )
        check_reinjection(self)


def frame_weights(settings: FusionSettings, frames: int) -> Tensor:
    """Share of the forward path, (T,) float32; that of the reverse path is 1 minus it.

    Raises:
        InputError: fewer than two frames.
    """
    if settings.weights == "forward":
        return torch.ones(frames)
    if frames < 2:
        raise InputError(f"frames: fusion needs two or more, got {frames}")
    u = torch.linspace(0.0, 1.0, frames, dtype=torch.float64)
    if settings.weights == "linear":
        weights = 1.0 - u
    elif settings.weights == "cosine":
        weights = 0.5 + 0.5 * torch.cos(math.pi * u)
    else:
        curve = torch.sigmoid(settings.sharpness * (0.5 - u))
        weights = (curve - curve[-1]) / (curve[0] - curve[-1])
    return weights.float()


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class FusedDenoiser:
    """Blend of two denoisers, itself a denoiser.

    Attributes:
        forward: conditioned on the start, frames in order.
        backward: conditioned on the end; it sees and returns the frames in reverse order. Everything it was
            built with (conditioning latents, token roles, guidance ramp) is in its own order.
        weights: (T,) share of `forward`, in order.
        forward_below: noise level below which `forward` runs alone.
    """

    forward: Denoise
    backward: Denoise
    weights: Tensor
    forward_below: float = 0.0

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        """Denoise (1, T, C, h, w) at level `sigma`."""
        check_shape("x", x, "B T C h w", T=self.weights.shape[0])
        if sigma < self.forward_below or bool((self.weights == 1.0).all()):
            return self.forward(x, sigma)
        weights = self.weights.to(x.device).view(1, -1, 1, 1, 1)
        start = self.forward(x, sigma)
        end = self.backward(x.flip(1), sigma).flip(1)
        return weights * start + (1.0 - weights) * end
