"""Smooth filling of holes in panoramas by a pyramid that is closed around the seam."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ..check import check_shape
from ..errors import InputError

__all__ = ["pull_push"]


def pull_push(image: Tensor, valid: Tensor) -> Tensor:
    """Fill what is not valid from its surroundings, at the coarsest scale that each hole needs.

    Valid pixels come back untouched. The left and right border are neighbours, as on a panorama.

    Args:
        image: (..., C, H, W) floating point; values where `valid` is False are ignored.
        valid: (..., H, W) bool, leading axes as the image's.

    Returns:
        (..., C, H, W) of the image's type. An image without one valid pixel is returned as zeros.

    Raises:
        ShapeError: `valid` does not match the image.
        InputError: the image is not floating point.

    Source: S. J. Gortler et al., The Lumigraph, SIGGRAPH 1996, section 3.4 (pull-push).
    """
    sizes = check_shape("image", image, "... C H W")
    check_shape("valid", valid, "... H W", H=sizes["H"], W=sizes["W"])
    if valid.shape[:-2] != image.shape[:-3]:
        raise InputError(
            f"valid: expected leading axes {tuple(image.shape[:-3])}, got {tuple(valid.shape[:-2])}"
        )
    if not image.is_floating_point():
        raise InputError(f"image: expected floating point, got {image.dtype}; divide uint8 by 255 first")
    flat = image.detach().reshape(-1, *image.shape[-3:]).float()
    mask = valid.reshape(-1, 1, *valid.shape[-2:])
    flat = torch.where(mask, flat, flat.new_zeros(()))
    filled = _fill(flat, mask.float())
    return torch.where(mask, flat, filled).reshape(image.shape).to(image.dtype)


def _fill(color: Tensor, weight: Tensor) -> Tensor:
    """One level: (B, C, h, w) colours with weights (B, 1, h, w) in 0..1 -> colours everywhere."""
    height, width = color.shape[-2:]
    if height * width == 1 or bool((weight >= 1).all()):
        return color
    half = ((height + 1) // 2, (width + 1) // 2)
    coarse_weight = F.adaptive_avg_pool2d(weight, half)
    coarse = F.adaptive_avg_pool2d(color * weight, half) / coarse_weight.clamp_min(1e-12)
    # A quarter of a block is enough to trust its mean: fine detail then reaches into the holes' borders.
    below = _fill(coarse, (4 * coarse_weight).clamp_max(1))
    above = _enlarge(_enlarge(below, height, -2, wrap=False), width, -1, wrap=True)
    return weight * color + (1 - weight) * above


def _enlarge(image: Tensor, size: int, dim: int, *, wrap: bool) -> Tensor:
    """Linear interpolation along one axis to `size` samples with aligned borders."""
    n = image.shape[dim]
    at = (torch.arange(size, device=image.device, dtype=torch.float32) + 0.5) * (n / size) - 0.5
    low = at.floor()
    part = (at - low).to(image.dtype)
    low = low.long()
    high = low + 1
    low, high = (low % n, high % n) if wrap else (low.clamp(0, n - 1), high.clamp(0, n - 1))
    shape = [1] * image.ndim
    shape[dim] = size
    return torch.lerp(image.index_select(dim, low), image.index_select(dim, high), part.view(shape))
