"""The UNet as a denoiser `(x, sigma) -> x0`."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn

from ..errors import InputError

__all__ = ["Denoise", "Denoiser", "GuidanceShape", "guidance_ramp", "predict_x0"]

Denoise: TypeAlias = Callable[[Tensor, float], Tensor]
"""`denoise(x (B, T, C, h, w) float32, sigma) -> x0`, the same shape and dtype."""


GuidanceShape = Literal["linear", "triangle", "constant"]


def guidance_ramp(
    frames: int,
    minimum: float,
    maximum: float,
    *,
    shape: GuidanceShape = "linear",
    device: torch.device | str = "cpu",
) -> Tensor:
    """Guidance per frame, (T,).

    Args:
        frames: T.
        minimum: at the conditioned frame.
        maximum: at the frame that is farthest from it.
        shape: "linear" rises from the first frame to the last, as stock Stable Video Diffusion does;
            "triangle" rises to the middle and falls again, for videos with a true panorama at either end;
            "constant" is `maximum` everywhere.
        device: of the result.
    """
    if shape == "constant":
        return torch.full((frames,), float(maximum), device=device)
    if shape == "linear":
        return torch.linspace(minimum, maximum, frames, device=device)
    rise = 1.0 - torch.linspace(-1.0, 1.0, frames, device=device).abs()
    return minimum + (maximum - minimum) * rise


def predict_x0(
    unet: nn.Module, x: Tensor, sigma: Tensor | float, *, concat: Tensor, tokens: Tensor, time_ids: Tensor
) -> Tensor:
    """The clean latents that the UNet sees in noised ones. Differentiable; training and sampling share it.

    Args:
        unet: predicts v from the scaled input, the concatenated latents, 0.25 ln sigma, tokens and time ids.
        x: (B, T, C, h, w) noised video latents, x = x0 + sigma n, float32.
        sigma: noise level, a number or (B,).
        concat: (B, T, C, h, w) conditioning latents, not scaled.
        tokens: (B, S, D).
        time_ids: (B, 3).

    Returns:
        (B, T, C, h, w) float32.

    Source: Karras et al. 2022, table 1 with sigma_data = 1; Stability's VScalingWithEDMcNoise.
    """
    sigma = torch.as_tensor(sigma, dtype=torch.float32, device=x.device)
    level = sigma.reshape(-1, 1, 1, 1, 1)
    scale = (level.square() + 1.0).sqrt()
    dtype = getattr(unet, "dtype", torch.float32)
    inputs = torch.cat([(x / scale).to(dtype), concat.to(dtype)], dim=2)
    v = unet(
        inputs, 0.25 * sigma.log(), encoder_hidden_states=tokens, added_time_ids=time_ids, return_dict=False
    )
    return x / scale.square() - (level / scale) * v[0].float()


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Denoiser:
    """A UNet with its conditioning and classifier-free guidance; call it as `denoise(x, sigma)`.

    The unconditional branch has zero tokens and zero conditioning latents. By default the two branches run
    one after the other: half the memory, and no attention batch beyond what a GPU kernel's grid allows.

    Attributes:
        unet: see `predict_x0`.
        concat: (1, T, C, h, w) conditioning latents.
        tokens: (1, S, D).
        time_ids: (1, 3).
        guidance: (T,) per frame; if no value differs from 1, the unconditional branch is not run.
        together: run both branches in one batch: the same result to rounding, faster on GPUs that have the
            memory.
    """

    unet: nn.Module
    concat: Tensor
    tokens: Tensor
    time_ids: Tensor
    guidance: Tensor
    together: bool = False

    def __post_init__(self) -> None:
        if self.guidance.shape != (self.concat.shape[1],):
            raise InputError(
                f"guidance: expected one value for each of {self.concat.shape[1]} frames, got "
                f"{tuple(self.guidance.shape)}"
            )

    @property
    def evaluations(self) -> int:
        """UNet passes per step, whether one after the other or in one batch."""
        return 1 if bool((self.guidance == 1.0).all()) else 2

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        """Denoise (1, T, C, h, w) at level `sigma`."""
        seen = (self.concat, self.tokens)
        if self.evaluations == 1:
            return self._predict(x, sigma, *seen)
        nothing = (torch.zeros_like(self.concat), torch.zeros_like(self.tokens))
        if self.together:
            both = (torch.cat(pair) for pair in zip(seen, nothing, strict=True))
            conditional, unconditional = self._predict(x.repeat(2, 1, 1, 1, 1), sigma, *both).chunk(2)
        else:
            conditional = self._predict(x, sigma, *seen)
            unconditional = self._predict(x, sigma, *nothing)
        # x0 is affine in v at a given x and sigma, so guiding x0 is guiding v.
        return unconditional + self.guidance.view(1, -1, 1, 1, 1) * (conditional - unconditional)

    def _predict(self, x: Tensor, sigma: float, concat: Tensor, tokens: Tensor) -> Tensor:
        time_ids = self.time_ids.expand(x.shape[0], -1)
        return predict_x0(self.unet, x, sigma, concat=concat, tokens=tokens, time_ids=time_ids)


def initial_scale(sigma: float) -> float:
    """Standard deviation of the starting latents: noise at `sigma` over data of unit variance."""
    return math.sqrt(sigma * sigma + 1.0)
