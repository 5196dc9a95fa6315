"""Noise levels."""

from __future__ import annotations

import torch
from torch import Tensor

from ..errors import InputError

__all__ = ["SIGMA_MAX", "SIGMA_MIN", "karras_sigmas"]

SIGMA_MIN, SIGMA_MAX = 0.002, 700.0


def karras_sigmas(
    steps: int, sigma_min: float = SIGMA_MIN, sigma_max: float = SIGMA_MAX, *, rho: float = 7.0
) -> Tensor:
    """Noise levels equally spaced in sigma^(1/rho), then 0.

    Args:
        steps: number of denoising steps.
        sigma_min: last level before 0.
        sigma_max: first level.
        rho: more means shorter steps near `sigma_min`.

    Returns:
        (steps + 1,) float32, falling.

    Source: Karras et al., Elucidating the Design Space of Diffusion-Based Generative Models (2022), eq. 5.
    """
    if steps < 1 or not 0.0 < sigma_min < sigma_max:
        raise InputError(
            "steps, sigma_min, sigma_max: expected steps >= 1 and 0 < sigma_min < sigma_max, got "
            f"{steps}, {sigma_min}, {sigma_max}"
        )
    ramp = torch.linspace(0.0, 1.0, steps, dtype=torch.float64)
    high, low = sigma_max ** (1.0 / rho), sigma_min ** (1.0 / rho)
    sigmas = (high + ramp * (low - high)) ** rho
    return torch.cat([sigmas, sigmas.new_zeros(1)]).float()
