"""Training losses: the EDM objective of Stable Video Diffusion and the VAE's reconstruction loss."""

from __future__ import annotations

import torch
from torch import Tensor

from ..errors import InputError

__all__ = ["conditioning_keep", "edm_input", "edm_loss", "sample_sigma", "vae_loss"]


def sample_sigma(count: int, generator: torch.Generator, *, mean: float = 0.7, std: float = 1.6) -> Tensor:
    """(count,) noise levels with ln sigma ~ N(mean, std^2).

    Source: Stable Video Diffusion, appendix; methods notes §2.6.
    """
    return (torch.randn(count, generator=generator) * std + mean).exp()


def edm_input(latents: Tensor, noise: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """What the network sees at noise level sigma.

    Args:
        latents: (B, T, C, h, w) clean latents z, unit variance.
        noise: the same shape, standard normal.
        sigma: (B,).

    Returns:
        c_in x (B, T, C, h, w), the time c_noise = ln(sigma)/4 (B,), and x = z + sigma n.
    """
    wide = sigma.view(-1, *([1] * (latents.ndim - 1)))
    noisy = latents + wide * noise
    return noisy / (wide**2 + 1).sqrt(), 0.25 * sigma.log(), noisy


def edm_loss(
    output: Tensor, noisy: Tensor, latents: Tensor, sigma: Tensor, *, weight: Tensor | None = None
) -> Tensor:
    """mean((1 + s^2)/s^2 (D - z)^2) with D = x/(s^2+1) - s/sqrt(s^2+1) F, sigma_data = 1.

    Args:
        output: (B, T, C, h, w) network output F.
        noisy: x = z + s n.
        latents: z.
        sigma: (B,).
        weight: optional, broadcastable to `output`; the loss is the weighted mean.

    Source: Karras et al. 2022; methods notes §2.6. It equals the plain squared error of
    F against v = (n - s z)/sqrt(s^2+1), which the tests show.
    """
    s = sigma.view(-1, *([1] * (latents.ndim - 1)))
    denoised = noisy / (s**2 + 1) - s / (s**2 + 1).sqrt() * output
    square = (1 + s**2) / s**2 * (denoised - latents) ** 2
    if weight is None:
        return square.mean()
    weight = weight.expand_as(square)
    return (square * weight).sum() / weight.sum()


def conditioning_keep(
    count: int, generator: torch.Generator, probability: float = 0.1
) -> tuple[Tensor, Tensor]:
    """Three-way dropout: tokens alone, both, scaffold latents alone, each with `probability`.

    Returns:
        keep_tokens (count,) and keep_latents (count,), float 0 or 1.

    Raises:
        InputError: the three shares exceed one.
    """
    if not 0 <= probability <= 1 / 3:
        raise InputError(f"probability: expected 0 to 1/3, got {probability}")
    draw = torch.rand(count, generator=generator)
    keep_tokens = (draw >= 2 * probability).float()
    keep_latents = ((draw < probability) | (draw >= 3 * probability)).float()
    return keep_tokens, keep_latents


def vae_loss(
    decoded: Tensor, target: Tensor, mean: Tensor, logvar: Tensor, *, kl_weight: float
) -> dict[str, Tensor]:
    """L1 + squared error + L1 of gradients at three scales + KL.

    Args:
        decoded: (N, 3, H, W), -1..1.
        target: the same.
        mean: (N, 4, h, w) of the posterior.
        logvar: the same.
        kl_weight: weight per latent element.
    """
    error = decoded - target
    l1, l2 = error.abs().mean(), error.square().mean()
    gradient, level = error.new_zeros(()), error
    for _ in range(3):
        gradient = gradient + (level[..., 1:] - level[..., :-1]).abs().mean()
        gradient = gradient + (level[..., 1:, :] - level[..., :-1, :]).abs().mean()
        level = torch.nn.functional.avg_pool2d(level, 2)
    kl = 0.5 * (mean.square() + logvar.exp() - 1 - logvar).mean()
    loss = l1 + 2 * l2 + 0.3 * gradient + kl_weight * kl
    return {"loss": loss, "l1": l1.detach(), "mse": l2.detach(), "kl": kl.detach()}
