"""Small grey panoramas for tracking, and how sharp a frame is."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from ...geometry import resize_erp

__all__ = ["Pyramid", "make_pyramid", "sharpness", "to_gray"]

_GRAY = (0.2126, 0.7152, 0.0722)
_LEVELS = 3
_SHARP_HEIGHT = 512


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Pyramid:
    """A grey panorama at several sizes.

    Attributes:
        levels: (h, 2h) float32, the largest first, each half as high as the one before.
        padded: the same with one more pixel on every side, across the seam and over the poles.
    """

    levels: tuple[Tensor, ...]
    padded: tuple[Tensor, ...]


def to_gray(rgb: Tensor) -> Tensor:
    """(H, W) luma of (3, H, W)."""
    return torch.einsum("chw,c->hw", rgb.float(), rgb.new_tensor(_GRAY, dtype=torch.float32))


def make_pyramid(gray: Tensor, height: int) -> Pyramid:
    """Halve (H, W) from `height`, or its own height where that is less, downwards."""
    level = resize_erp(gray[None], min(height, gray.shape[0]))[0]
    levels = [level]
    while len(levels) < _LEVELS and levels[-1].shape[0] >= 64:
        levels.append(resize_erp(levels[-1][None], levels[-1].shape[0] // 2)[0])
    return Pyramid(levels=tuple(levels), padded=tuple(_pad(one) for one in levels))


def _pad(level: Tensor) -> Tensor:
    half = level.shape[1] // 2
    high = torch.cat((level[:1].roll(half, 1), level, level[-1:].roll(half, 1)))
    return torch.cat((high[:, -1:], high, high[:, :1]), dim=1)


def sharpness(gray: Tensor) -> float:
    """How much of a frame's contrast is in its finest details: comparable between frames of one scene.

    The variance of the Laplacian over the variance of the picture, every pixel weighted by its area on the
    sphere; a change of exposure leaves it as it is. Frames of more than 512 rows are shrunk first.

    Args:
        gray: (H, W), W = 2 H.

    Source: J. L. Pech-Pacheco et al., Diatom autofocusing in brightfield microscopy (2000), for the
        variance of the Laplacian.
    """
    if gray.shape[0] > _SHARP_HEIGHT:
        gray = resize_erp(gray[None], _SHARP_HEIGHT)[0]
    height = gray.shape[0]
    wide = F.pad(gray[None, None], (1, 1, 0, 0), mode="circular")[0, 0]
    inner = wide[1:-1]
    laplacian = inner[:, :-2] + inner[:, 2:] + wide[:-2, 1:-1] + wide[2:, 1:-1] - 4 * inner[:, 1:-1]
    row = (torch.arange(1, height - 1, device=gray.device) + 0.5) / height
    weight = (row * torch.pi).sin()[:, None]
    detail = _variance(laplacian, weight)
    contrast = _variance(gray[1:-1], weight)
    return float(detail / contrast.clamp(min=1e-8))


def _variance(values: Tensor, weight: Tensor) -> Tensor:
    total = weight.sum() * values.shape[1]
    mean = (values * weight).sum() / total
    return ((values - mean).square() * weight).sum() / total
