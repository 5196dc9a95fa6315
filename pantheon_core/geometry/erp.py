"""Equirectangular pixels and rays.

Frames: OpenCV axes (+x right, +y down, +z forward); the image centre looks along +z, longitude grows to the
right, latitude upwards. Integer pixel coordinates are pixel centres. See docs/conventions.md.
"""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor

from ..check import check_shape
from ..errors import InputError

__all__ = ["check_height", "erp_pixels_to_rays", "erp_rays", "rays_to_erp_pixels"]


def check_height(name: str, height: int) -> None:
    """Raise InputError unless `height` is an int of at least 1 pixel."""
    if isinstance(height, bool) or not isinstance(height, int) or height < 1:
        raise InputError(f"{name}: expected an integer of at least 1 pixel, got {height!r}")


def erp_rays(
    height: int, *, device: torch.device | str | None = None, dtype: torch.dtype = torch.float32
) -> Tensor:
    """Unit viewing directions of all pixel centres of an equirectangular image.

    Args:
        height: image height in pixels; the width is twice that.
        device: where the result lies.
        dtype: floating type of the result; the angles are always computed in float64.

    Returns:
        (H, 2H, 3) unit vectors in the camera frame.

    Raises:
        InputError: the height is not a positive integer.
    """
    check_height("height", height)
    # Outer products of two short vectors: no trigonometry per pixel, no float64 on the device (MPS has none).
    sin_lon, cos_lon, sin_lat, cos_lat = erp_tables(height, device, dtype)
    x = cos_lat[:, None] * sin_lon
    y = (-sin_lat)[:, None].expand(height, 2 * height)
    z = cos_lat[:, None] * cos_lon
    return torch.stack((x, y, z), dim=-1)


def erp_tables(
    height: int, device: torch.device | str | None, dtype: torch.dtype
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Sine and cosine of the columns' longitudes (2H,), sine and cosine of the rows' latitudes (H,)."""
    width = 2 * height
    lon = ((torch.arange(width, dtype=torch.float64) + 0.5) / width - 0.5) * (2 * math.pi)
    lat = (0.5 - (torch.arange(height, dtype=torch.float64) + 0.5) / height) * math.pi
    sin_lon, cos_lon, sin_lat, cos_lat = (
        values.to(device=device, dtype=dtype) for values in (lon.sin(), lon.cos(), lat.sin(), lat.cos())
    )
    return sin_lon, cos_lon, sin_lat, cos_lat


def rays_to_erp_pixels(rays: Tensor, height: int) -> Tensor:
    """Project directions onto an equirectangular image.

    Args:
        rays: (..., 3) directions in the camera frame, of any non-zero length.
        height: image height H in pixels.

    Returns:
        (..., 2) x in [-.5, 2H - .5) and y in [-.5, H - .5]; integers are pixel centres. A zero ray has no
        direction and gives the image centre.

    Raises:
        ShapeError: the last axis is not 3.
    """
    check_shape("rays", rays, "... 3")
    check_height("height", height)
    width = 2 * height
    x, y, z = rays.unbind(-1)
    # atan2 with hypot keeps full precision at the poles, where asin loses half of the digits.
    lon = torch.atan2(x, z)
    lat = torch.atan2(-y, torch.hypot(x, z))
    column = (lon / (2 * math.pi) + 0.5) * width - 0.5
    row = (0.5 - lat / math.pi) * height - 0.5
    column = torch.where(column >= width - 0.5, column - width, column)
    return torch.stack((column, row), dim=-1)


def erp_pixels_to_rays(xy: Tensor, height: int) -> Tensor:
    """Directions of pixel coordinates of an equirectangular image.

    Args:
        xy: (..., 2) coordinates, integers at pixel centres; x may run past the seam.
        height: image height H in pixels.

    Returns:
        (..., 3) unit vectors in the camera frame.

    Raises:
        ShapeError: the last axis is not 2.
    """
    check_shape("xy", xy, "... 2")
    check_height("height", height)
    column, row = xy.unbind(-1)
    lon = ((column + 0.5) / (2 * height) - 0.5) * (2 * math.pi)
    lat = (0.5 - (row + 0.5) / height) * math.pi
    cos_lat = lat.cos()
    return torch.stack((cos_lat * lon.sin(), -lat.sin(), cos_lat * lon.cos()), dim=-1)


def exact_dtype(device: torch.device, dtype: torch.dtype) -> torch.dtype:
    """The widest floating type for angles on a device: float64, but `dtype` (at least float32) on MPS."""
    if device.type == "mps":
        return cast("torch.dtype", torch.promote_types(dtype, torch.float32))
    return torch.float64
