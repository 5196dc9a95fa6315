"""Samplers: plain loops over `denoise(x, sigma) -> x0`, without state, in float32."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ..errors import InputError
from .denoiser import Denoise

__all__ = ["sample_euler"]


def sample_euler(
    denoise: Denoise,
    x: Tensor,
    sigmas: Tensor,
    *,
    callback: Callable[[int, Tensor], None] | None = None,
    route: Sequence[tuple[int, int]] | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Integrate the probability flow from `sigmas[0]` to `sigmas[-1]` with Euler steps.

    Args:
        denoise: predicts clean latents.
        x: latents at `sigmas[0]`.
        sigmas: (N + 1,) falling noise levels; the last may be 0.
        callback: `callback(step, x0)` after every denoising step, step from 1; may raise to stop.
        route: pairs of indices into `sigmas`, in order; the default is (0, 1), (1, 2), ... A pair that rises
            in sigma adds fresh noise instead of denoising (see `reinjection_route`).
        generator: CPU generator of that noise; needed only by routes that add noise.

    Returns:
        The latents at the route's end, float32.

    Source: Karras et al. 2022, algorithm 1 without churn.
    """
    levels = sigmas.tolist()
    x = x.float()
    step = 0
    for start, stop in route if route is not None else [(i, i + 1) for i in range(len(levels) - 1)]:
        sigma, target = levels[start], levels[stop]
        if target > sigma:
            x = x + math.sqrt(target**2 - sigma**2) * _noise_like(x, generator)
            continue
        x0 = denoise(x, sigma)
        x = x + (target - sigma) / sigma * (x - x0)
        step += 1
        if callback is not None:
            callback(step, x0)
    return x


def _noise_like(x: Tensor, generator: torch.Generator | None) -> Tensor:
    if generator is None:
        raise InputError("generator: this route adds noise, pass a seeded CPU torch.Generator")
    return torch.randn(x.shape, generator=generator, dtype=torch.float32).to(x.device)
