"""Smooth filling of holes in panoramas by a pyramid that is closed around the seam."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ..check import check_shape
from ..errors import InputError

__all__ = ["pull_push"]

_BACKGROUND_POWER = 2.0
_LEAST_SAY = 1e-6


def pull_push(image: Tensor, valid: Tensor, *, distance: Tensor | None = None) -> Tensor:
    """Fill what is not valid from its surroundings, at the coarsest scale that each hole needs.

    Valid pixels come back untouched. The left and right border are neighbours, as on a panorama.

    With `distance`, holes are filled from the background. A hole opens where something near has moved off
    what is behind it, so of its two sides it nearly always continues the farther one: pixels count by the
    square of their distance, at every scale, and the sky as much as the farthest surface in the video.

    Args:
        image: (..., C, H, W) floating point; values where `valid` is False are ignored.
        valid: (..., H, W) bool, leading axes as the image's.
        distance: (..., H, W) along the ray, in any unit; 0 or infinite where valid is sky. None: all sides
            count alike.

    Returns:
        (..., C, H, W) of the image's type. An image without one valid pixel is returned as zeros.

    Raises:
        ShapeError: `valid` or `distance` does not match the image.
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
    say = mask.float()
    if distance is not None:
        check_shape("distance", distance, "... H W", H=sizes["H"], W=sizes["W"])
        say = say * _background_say(distance.detach().reshape(mask.shape).to(flat), mask)
    filled, _ = _fill(flat, mask.float(), say)
    return torch.where(mask, flat, filled).reshape(image.shape).to(image.dtype)


def _background_say(distance: Tensor, valid: Tensor) -> Tensor:
    """(distance / farthest)^2 in (0, 1]; sky is as far as the farthest surface."""
    surface = valid & distance.isfinite() & (distance > 0)
    farthest = torch.where(surface, distance, 0.0).amax()
    share = torch.where(surface, distance, farthest) / farthest.clamp_min(torch.finfo(distance.dtype).tiny)
    return share.pow(_BACKGROUND_POWER).clamp(_LEAST_SAY, 1.0) if bool(surface.any()) else valid.to(distance)


def _fill(color: Tensor, weight: Tensor, say: Tensor) -> tuple[Tensor, Tensor]:
    """One level of the pyramid.

    Args:
        color: (B, C, h, w).
        weight: (B, 1, h, w) 0..1, how far a pixel is known.
        say: (B, 1, h, w) weight times how much the pixel counts against its neighbours.

    Returns:
        Colours everywhere and how much each counts.
    """
    height, width = color.shape[-2:]
    if height * width == 1 or bool((weight >= 1).all()):
        return color, say / weight.clamp_min(1e-12)
    half = ((height + 1) // 2, (width + 1) // 2)
    coarse_weight = F.adaptive_avg_pool2d(weight, half)
    coarse_say = F.adaptive_avg_pool2d(say, half)
    coarse = F.adaptive_avg_pool2d(color * say, half) / coarse_say.clamp_min(1e-12)
    # A quarter of a block is enough to trust its mean: fine detail then reaches into the holes' borders.
    trusted = (4 * coarse_weight).clamp_max(1)
    below, say_below = _fill(coarse, trusted, coarse_say / coarse_weight.clamp_min(1e-12) * trusted)
    # Colours travel multiplied by their say, so that interpolation weighs them by it as well.
    unknown = 1 - weight
    total = say + unknown * _enlarge_both(say_below, height, width)
    mixed = say * color + unknown * _enlarge_both(below * say_below, height, width)
    return mixed / total.clamp_min(1e-12), total


def _enlarge_both(image: Tensor, height: int, width: int) -> Tensor:
    return _enlarge(_enlarge(image, height, -2, wrap=False), width, -1, wrap=True)


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
