"""Small pictures of latents while sampling runs."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ..check import check_shape

__all__ = ["LatentPreview", "fit_preview"]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class LatentPreview:
    """A linear map from a latent to the mean colour of its pixels.

    Attributes:
        matrix: (C + 1, 3); the last row is the constant.
    """

    matrix: Tensor

    def __call__(self, latents: Tensor) -> Tensor:
        """Colours (T, 3, h, w) 0..1 of unscaled latents (T, C, h, w)."""
        matrix = self.matrix.to(latents.device)
        colours = torch.einsum("tchw,cd->tdhw", latents.float(), matrix[:-1])
        return (colours + matrix[-1].view(3, 1, 1)).clamp(0.0, 1.0)


def fit_preview(latents: Tensor, frames: Tensor) -> LatentPreview:
    """Least squares from the latents of frames to those frames' colours.

    Generation encodes its scaffold anyway, so a preview fitted to the very scene costs nothing.

    Args:
        latents: (T, C, h, w), unscaled.
        frames: (T, 3, H, W) rgb 0..1.
    """
    check_shape("frames", frames, "T 3 H W", T=latents.shape[0])
    colours = F.adaptive_avg_pool2d(frames.float(), (latents.shape[-2], latents.shape[-1])).to(latents.device)
    a = latents.float().permute(0, 2, 3, 1).flatten(0, 2)
    a = torch.cat([a, a.new_ones(a.shape[0], 1)], dim=1)
    b = colours.permute(0, 2, 3, 1).flatten(0, 2)
    # Slight damping: a scaffold of one colour leaves the system singular.
    gram = a.T @ a + 1e-4 * a.shape[0] * torch.eye(a.shape[1], device=a.device)
    return LatentPreview(matrix=torch.linalg.solve(gram, a.T @ b))
