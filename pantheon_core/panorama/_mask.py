"""Parts of a panorama that are to become holes: the photographer, the tripod, what moves."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..check import check_erp, check_shape
from ..errors import InputError
from ..geometry import resize_erp

__all__ = ["feather_mask", "grow_mask", "hole_mask"]

_FEATHER_STEPS = 6


def hole_mask(
    height: int, *, mask: Tensor | None = None, nadir: float = 0.0, zenith: float = 0.0, grow: float = 0.0
) -> Tensor:
    """Pixels that are to become holes.

    Args:
        height: rows of the panorama.
        mask: (h, w) 0..1 or bool, w = 2 h, of any size; a pixel is a hole where its mean is at least a half.
        nadir: radius of a disc straight below the camera, radians: tripod and photographer.
        zenith: the same straight above.
        grow: enlarge the mask by so much on the sphere, radians; negative values shrink it. The discs have
            their size already.

    Returns:
        (H, W) bool, True where a hole is to be.

    Raises:
        InputError: angles out of range.
        ConventionError: the mask is not twice as wide as high.
    """
    for name, angle in (("nadir", nadir), ("zenith", zenith)):
        if not 0 <= angle <= math.pi / 2:
            raise InputError(f"{name}: expected radians from 0 to pi / 2, got {angle}")
    if not -math.pi / 2 <= grow <= math.pi / 2:
        raise InputError(f"grow: expected radians from -pi / 2 to pi / 2, got {grow}")
    device = None if mask is None else mask.device
    row = (torch.arange(height, device=device) + 0.5) / height * math.pi  # from the zenith
    holes = ((row < zenith) | (row > math.pi - nadir))[:, None].repeat(1, 2 * height)
    if mask is None:
        return holes
    check_shape("mask", mask, "h w")
    if check_erp("mask", mask)[0] != height:
        mask = resize_erp(mask[None].float(), height)[0]
    own = mask.float() >= 0.5
    if grow > 0:
        own = grow_mask(own, grow)
    elif grow < 0:
        own = ~grow_mask(~own, -grow)
    return holes | own


def grow_mask(mask: Tensor, angle: float) -> Tensor:
    """(H, W) bool with everything within `angle` radians of a True pixel, measured on the sphere."""
    height, width = mask.shape
    latitude = (
        0.5 - (torch.arange(height, device=mask.device, dtype=torch.float64) + 0.5) / height
    ) * math.pi
    reach = min(height - 1, math.floor(angle / math.pi * height))
    # sums along the rows, three times around, so that a window never has to be cut at the seam
    sums = torch.nn.functional.pad(mask.repeat(1, 3).to(torch.int32).cumsum(-1, dtype=torch.int32), (1, 0))
    column = torch.arange(width, device=mask.device)[None]
    out = mask.clone()
    for step in range(-reach, reach + 1):
        rows = torch.arange(max(0, -step), min(height, height - step), device=mask.device)
        here, there = latitude[rows], latitude[rows + step]
        cosine = (math.cos(angle) - here.sin() * there.sin()) / (here.cos() * there.cos())
        # half a turn where the whole row is near, as beside a pole
        half = torch.acos(cosine.clamp(-1, 1)) / (2 * math.pi) * width
        half = torch.where(cosine > 1, -1.0, half).floor().long().clamp_max((width - 1) // 2 + 1)[:, None]
        span = sums[rows + step]
        first, last = column + width - half, column + width + half + 1
        out[rows] |= (span.gather(1, last.clamp_min(0)) > span.gather(1, first)) & (half >= 0)
    return out


def feather_mask(mask: Tensor, width: float) -> Tensor:
    """(H, W) float: 1 on a bool mask, falling to 0 over `width` radians outside it, for blending."""
    if not 0 <= width <= math.pi / 2:
        raise InputError(f"width: expected radians from 0 to pi / 2, got {width}")
    soft = mask.float()
    if width == 0 or not bool(mask.any()):
        return soft
    for step in range(1, _FEATHER_STEPS):
        soft = soft + grow_mask(mask, width * step / _FEATHER_STEPS).float()
    return soft / _FEATHER_STEPS
