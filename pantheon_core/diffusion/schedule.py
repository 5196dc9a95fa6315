"""Noise levels."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

from ..errors import InputError

__all__ = [
    "SIGMA_MAX",
    "SIGMA_MIN",
    "ScheduleName",
    "align_your_steps_sigmas",
    "exponential_sigmas",
    "karras_sigmas",
    "noise_levels",
]

SIGMA_MIN, SIGMA_MAX = 0.002, 700.0
ScheduleName = Literal["karras", "exponential", "align_your_steps"]

_ALIGN_YOUR_STEPS = (700.0, 54.5, 15.886, 7.977, 4.248, 1.789, 0.981, 0.403, 0.173, 0.034, 0.002)


def noise_levels(
    schedule: ScheduleName, steps: int, sigma_min: float = SIGMA_MIN, sigma_max: float = SIGMA_MAX
) -> Tensor:
    """The noise levels of a schedule by name.

    Args:
        schedule: "karras", "exponential" or "align_your_steps".
        steps: number of denoising steps.
        sigma_min: last level before 0.
        sigma_max: first level.

    Returns:
        (steps + 1,) float32, falling to 0.

    Raises:
        InputError: values out of range; for "align_your_steps" any range but Stable Video Diffusion's own.
    """
    if schedule == "karras":
        return karras_sigmas(steps, sigma_min, sigma_max)
    if schedule == "exponential":
        return exponential_sigmas(steps, sigma_min, sigma_max)
    if (sigma_min, sigma_max) != (SIGMA_MIN, SIGMA_MAX):
        raise InputError(
            f"schedule: 'align_your_steps' was made for sigma_min {SIGMA_MIN} and sigma_max {SIGMA_MAX:g}, "
            f"got {sigma_min:g} and {sigma_max:g}; take those, or another schedule"
        )
    return align_your_steps_sigmas(steps)


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
    _check(steps, sigma_min, sigma_max)
    ramp = torch.linspace(0.0, 1.0, steps, dtype=torch.float64)
    high, low = sigma_max ** (1.0 / rho), sigma_min ** (1.0 / rho)
    return _then_zero((high + ramp * (low - high)) ** rho)


def exponential_sigmas(steps: int, sigma_min: float = SIGMA_MIN, sigma_max: float = SIGMA_MAX) -> Tensor:
    """Noise levels equally spaced in ln sigma, then 0: more steps at little noise than Karras's.

    Args:
        steps: number of denoising steps.
        sigma_min: last level before 0.
        sigma_max: first level.

    Returns:
        (steps + 1,) float32, falling.
    """
    _check(steps, sigma_min, sigma_max)
    ramp = torch.linspace(math.log(sigma_max), math.log(sigma_min), steps, dtype=torch.float64)
    return _then_zero(ramp.exp())


def align_your_steps_sigmas(steps: int) -> Tensor:
    """Noise levels optimised for Stable Video Diffusion, for few steps (10, the published number).

    Other numbers of steps are interpolated log-linearly. The last level, 0.002 in the table, is 0.

    Args:
        steps: number of denoising steps.

    Returns:
        (steps + 1,) float32, falling.

    Source: Sabour, Fidler, Kreis, Align Your Steps: Optimizing Sampling Schedules in Diffusion Models (2024,
        arXiv 2404.14507), table for Stable Video Diffusion, and its rule for other numbers of steps.
    """
    _check(steps, SIGMA_MIN, SIGMA_MAX)
    table = torch.tensor(_ALIGN_YOUR_STEPS, dtype=torch.float64).log()
    place = torch.linspace(0.0, len(table) - 1.0, steps + 1, dtype=torch.float64)
    before = place.floor().long().clamp(max=len(table) - 2)
    share = place - before
    sigmas = ((1.0 - share) * table[before] + share * table[before + 1]).exp()
    return _then_zero(sigmas[:-1])


def _check(steps: int, sigma_min: float, sigma_max: float) -> None:
    if steps < 1 or not 0.0 < sigma_min < sigma_max:
        raise InputError(
            "steps, sigma_min, sigma_max: expected steps >= 1 and 0 < sigma_min < sigma_max, got "
            f"{steps}, {sigma_min}, {sigma_max}"
        )


def _then_zero(sigmas: Tensor) -> Tensor:
    return torch.cat([sigmas, sigmas.new_zeros(1)]).float()
