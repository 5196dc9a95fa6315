"""Covered parts held to the scaffold while denoising: the path for models never trained on scaffolds.

A first-frame model (stock Stable Video Diffusion) knows nothing of a path. Here its prediction of the clean
latents is drawn towards the scaffold's own latents wherever the scaffold covers; the model continues them
into the holes, and below a noise level it is let go, so that texture settles over what the scaffold blurred.

Source: in spirit Meng et al., SDEdit (2021) and Lugmayr et al., RePaint (2022), in x0 space, so that any
sampler serves.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from ..check import check_shape
from ..errors import InputError
from .denoiser import Denoise
from .reinjection import check_reinjection

__all__ = ["HeldDenoiser", "HoldSettings", "covered_cells"]


@dataclass(frozen=True, kw_only=True, slots=True)
class HoldSettings:
    """How covered parts are held.

    Attributes:
        strength: 0..1, the scaffold's share of the prediction in covered cells at high noise; 0 switches
            holding off.
        full_above: noise level sigma above which the whole strength holds.
        release_below: noise level below which the model is free; between the two the share falls evenly in
            ln sigma. A lower one keeps closer to the scaffold, with its blur and its errors.
        shrink: latent cells (8 pixels each) by which covered parts are shrunk, for scaffolds whose colours
            beside holes are wrong. Many small holes then free most of the picture.
        reinject_steps: length of windows of steps that are repeated with fresh noise, so that holes and held
            parts agree; 0 for none.
        reinject_repeats: how often each window is repeated; 0 for none.
        reinject_until: the windows lie in this first part of the steps, more than 0, up to 1.
    """

    strength: float = 1.0
    full_above: float = 1.0
    release_below: float = 0.1
    shrink: int = 0
    reinject_steps: int = 0
    reinject_repeats: int = 0
    reinject_until: float = 0.5

    def __post_init__(self) -> None:
        if not 0.0 <= self.strength <= 1.0:
            raise InputError(f"HoldSettings.strength: expected 0 to 1, got {self.strength!r}")
        if not 0.0 < self.release_below <= self.full_above < math.inf:
            raise InputError(
                "HoldSettings: expected noise levels 0 < release_below <= full_above, got "
                f"{self.release_below!r} and {self.full_above!r}"
            )
        if self.shrink < 0:
            raise InputError(f"HoldSettings.shrink: expected 0 or more latent cells, got {self.shrink!r}")
        check_reinjection(self)

    def share(self, sigma: float) -> float:
        """The scaffold's share of the prediction in covered cells at a noise level."""
        if sigma >= self.full_above:
            return self.strength
        if sigma <= self.release_below:
            return 0.0
        return (
            self.strength
            * math.log(sigma / self.release_below)
            / math.log(self.full_above / self.release_below)
        )


def covered_cells(coverage: Tensor, downscale: int, shrink: int) -> Tensor:
    """Latent cells that the scaffold covers wholly.

    Args:
        coverage: (T, H, W) bool.
        downscale: pixels per cell and axis.
        shrink: cells by which covered parts are shrunk, around the seam in width; the poles' rows have no
            neighbours beyond.

    Returns:
        (T, h, w) float, 1 in covered cells.
    """
    check_shape("coverage", coverage, "T H W")
    holes = F.max_pool2d((~coverage)[:, None].float(), downscale)
    if shrink:
        padded = F.pad(holes, (shrink, shrink, 0, 0), mode="circular")
        padded = F.pad(padded, (0, 0, shrink, shrink))
        holes = F.max_pool2d(padded, 2 * shrink + 1, stride=1)
    return 1.0 - holes[:, 0]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class HeldDenoiser:
    """A denoiser whose prediction is held to the scaffold; itself a denoiser.

    Attributes:
        denoise: the model's.
        target: (1, T, C, h, w) scaled latents of the scaffold, its holes filled.
        cells: (T, h, w) 1 where the scaffold covers, see `covered_cells`.
        settings: how strongly, and until when.
    """

    denoise: Denoise
    target: Tensor
    cells: Tensor
    settings: HoldSettings

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        """Denoise (1, T, C, h, w) at level `sigma`."""
        check_shape("x", x, "B T C h w", T=self.cells.shape[0])
        x0 = self.denoise(x, sigma)
        share = self.settings.share(sigma)
        if share == 0.0:
            return x0
        return x0 + share * self.cells[None, :, None] * (self.target - x0)
