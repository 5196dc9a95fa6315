"""Samplers: plain loops over `denoise(x, sigma) -> x0`, without state, in float32.

Each takes the noise levels and, for latent fusion, a route through them that may go back up (see
`reinjection.reinjection_route`); on the way up all of them add fresh noise.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal, Protocol, TypeAlias

import torch
from torch import Tensor

from ..errors import InputError
from .denoiser import Denoise

__all__ = [
    "SAMPLERS",
    "Route",
    "Sampler",
    "SamplerName",
    "StepCallback",
    "sample_dpmpp_2m",
    "sample_euler",
    "sample_heun",
]

StepCallback: TypeAlias = Callable[[int, Tensor], None]
"""`callback(step, x0)` after every denoising step, step from 1; may raise to stop."""
Route: TypeAlias = Sequence[tuple[int, int]]
"""Pairs of indices into the noise levels, in order."""
SamplerName = Literal["euler", "heun", "dpmpp_2m", "dpmpp_2m_sde"]


class Sampler(Protocol):
    """What all samplers have in common; see `sample_euler`."""

    def __call__(
        self,
        denoise: Denoise,
        x: Tensor,
        sigmas: Tensor,
        *,
        callback: StepCallback | None = None,
        route: Route | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Go from the noise at `sigmas[0]` to the picture at `sigmas[-1]`."""
        ...


def sample_euler(
    denoise: Denoise,
    x: Tensor,
    sigmas: Tensor,
    *,
    callback: StepCallback | None = None,
    route: Route | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Integrate the probability flow from `sigmas[0]` to `sigmas[-1]` with Euler steps: first order.

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
    x = x.float()
    step = 0
    for sigma, target in _levels(sigmas, route):
        if target > sigma:
            x = _raise_noise(x, sigma, target, generator)
            continue
        x0 = denoise(x, sigma)
        x = x + (target - sigma) / sigma * (x - x0)
        step += 1
        if callback is not None:
            callback(step, x0)
    return x


def sample_heun(
    denoise: Denoise,
    x: Tensor,
    sigmas: Tensor,
    *,
    callback: StepCallback | None = None,
    route: Route | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Integrate the probability flow with Heun's steps: second order, two model calls per step.

    A step to sigma 0 is an Euler step, with one call: the slope there is not defined.

    Args:
        denoise: see `sample_euler`, as for all that follow.
        x: latents.
        sigmas: noise levels.
        callback: gets the prediction at the start of each step.
        route: through the levels.
        generator: of re-injected noise.

    Returns:
        The latents at the route's end, float32.

    Source: Karras et al. 2022, algorithm 1.
    """
    x = x.float()
    step = 0
    for sigma, target in _levels(sigmas, route):
        if target > sigma:
            x = _raise_noise(x, sigma, target, generator)
            continue
        x0 = denoise(x, sigma)
        slope = (x - x0) / sigma
        if target > 0.0:
            ahead = x + (target - sigma) * slope
            slope = 0.5 * (slope + (ahead - denoise(ahead, target)) / target)
        x = x + (target - sigma) * slope
        step += 1
        if callback is not None:
            callback(step, x0)
    return x


def sample_dpmpp_2m(
    denoise: Denoise,
    x: Tensor,
    sigmas: Tensor,
    *,
    callback: StepCallback | None = None,
    route: Route | None = None,
    generator: torch.Generator | None = None,
    noise: float = 0.0,
) -> Tensor:
    """DPM-Solver++ (2M): second order with one model call per step, from this and the last prediction.

    The first step, the step to sigma 0 and the first one after re-injected noise are of first order.

    Args:
        denoise: see `sample_euler`, as for all that follow.
        x: latents.
        sigmas: noise levels.
        callback: gets the prediction of each step.
        route: through the levels.
        generator: CPU generator of re-injected noise and, with `noise`, of the noise of every step but the
            last. Drawn on the CPU: the result does not depend on the device.
        noise: 0 solves the probability flow; 1 the reverse stochastic equation (2M SDE): every step removes
            more than its share of the noise and replaces it with fresh noise, which corrects earlier errors.
            Values between mix.

    Returns:
        The latents at the route's end, float32.

    Source: Lu et al., DPM-Solver++: Fast Solver for Guided Sampling of Diffusion Probabilistic Models (2022,
        arXiv 2211.01095), algorithm 2 and its SDE form, for x = x0 + sigma n and t = -ln sigma.
    """
    x = x.float()
    step = 0
    last: tuple[float, Tensor] | None = None  # size of the last step in ln sigma, and its prediction
    for sigma, target in _levels(sigmas, route):
        if target > sigma:
            x, last = _raise_noise(x, sigma, target, generator), None
            continue
        x0 = denoise(x, sigma)
        if target == 0.0:
            x = x0
        else:
            size = math.log(sigma / target)
            # Extrapolated to the middle of the step.
            middle = x0 if last is None else x0 + 0.5 * size / last[0] * (x0 - last[1])
            keep = target / sigma * math.exp(-noise * size)
            x = keep * x - math.expm1(-(1.0 + noise) * size) * middle
            if noise > 0.0:
                x = x + target * math.sqrt(-math.expm1(-2.0 * noise * size)) * _noise_like(x, generator)
            last = (size, x0)
        step += 1
        if callback is not None:
            callback(step, x0)
    return x


SAMPLERS: dict[SamplerName, Sampler] = {
    "euler": sample_euler,
    "heun": sample_heun,
    "dpmpp_2m": sample_dpmpp_2m,
    "dpmpp_2m_sde": partial(sample_dpmpp_2m, noise=1.0),
}


def _levels(sigmas: Tensor, route: Route | None) -> list[tuple[float, float]]:
    """The noise levels at the start and the end of each step."""
    levels = sigmas.tolist()
    route = [(i, i + 1) for i in range(len(levels) - 1)] if route is None else route
    return [(levels[start], levels[stop]) for start, stop in route]


def _raise_noise(x: Tensor, sigma: float, target: float, generator: torch.Generator | None) -> Tensor:
    return x + math.sqrt(target**2 - sigma**2) * _noise_like(x, generator)


def _noise_like(x: Tensor, generator: torch.Generator | None) -> Tensor:
    if generator is None:
        raise InputError("generator: this sampler or route adds noise, pass a seeded CPU torch.Generator")
    return torch.randn(x.shape, generator=generator, dtype=torch.float32).to(x.device)
