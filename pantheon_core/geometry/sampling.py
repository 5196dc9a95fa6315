"""Sampling of equirectangular images: exact at the seam, over the poles, and without aliasing.

An equirectangular image continues past its sides (column W is column 0) and over its poles (row -1 is row 0
turned by half a revolution). `_plan` finds the places that a view's pixels have in the image, `_lookup` reads
the image there. Views that come again, as every frame's crops do, find their plan in `_plan_store`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..check import check_erp, check_shape
from ..errors import InputError
from ._area import area_resize
from ._plan import Plan, make_plan
from ._views import SampleMode, check_mode, fraction_dtype, kept_plan, sample_views
from .erp import check_height, erp_rays, erp_tables, exact_dtype

__all__ = ["SampleMode", "resize_erp", "rotate_erp", "sample_erp"]


def sample_erp(erp: Tensor, rays: Tensor, *, mode: SampleMode = "bilinear", antialias: bool = True) -> Tensor:
    """Look up an equirectangular image along rays.

    With `antialias`, an output pixel that covers several source pixels is the mean over its footprint: the
    grid of rays is supersampled by the largest angle between neighbours, in source pixels, on each axis
    (after halving the source where that is more than 16). For scattered rays, whose neighbours in the grid
    say nothing about a footprint, pass `antialias=False`. Mode "nearest" keeps labels and is never averaged.

    Args:
        erp: (..., C, H, W) image, W = 2H; floating, or of any type with mode "nearest".
        rays: (h, w, 3) shared by all images, or (..., h, w, 3) with leading axes that broadcast against
            those of `erp`; directions in the image's camera frame, of any non-zero length.
        mode: interpolation; "bicubic" is Catmull-Rom.
        antialias: average where the grid of rays is coarser than the image.

    Returns:
        (..., C, h, w) in the type of `erp`.

    Raises:
        ConventionError: the image is not 2:1.
        InputError: unknown mode, or an integer image with an interpolating mode.
        ShapeError: the shapes do not fit.

    Source: G. Wolberg, Digital Image Warping (1990), on supersampling; R. Keys (1981), a = -1/2, for bicubic.
    """
    check_shape("erp", erp, "... C H W")
    height, _ = check_erp("erp", erp)
    check_shape("rays", rays, "... h w 3")
    check_mode(erp, mode)
    if not rays.is_floating_point():
        raise InputError(f"rays: expected a floating type, got {rays.dtype}")
    rays = rays.to(dtype=torch.promote_types(rays.dtype, torch.float32), device=erp.device)
    lead, (h, w, _) = rays.shape[:-3], rays.shape[-3:]
    planar = rays.reshape(-1, h, w, 3).permute(0, 3, 1, 2)

    def plan(view: int) -> Plan:
        return make_plan(
            planar[view].contiguous(),
            height,
            antialias=antialias and mode != "nearest",
            dtype=fraction_dtype(erp),
        )

    return sample_views(erp, plan, lead, (h, w), mode=mode)


def rotate_erp(
    erp: Tensor, rotation: Tensor, *, mode: SampleMode = "bilinear", height: int | None = None
) -> Tensor:
    """The panorama that a camera turned by `rotation` sees from the same place.

    Args:
        erp: (..., C, H, W) image, W = 2H.
        rotation: (3, 3) or (..., 3, 3), old camera from new camera: ray_old = rotation @ ray_new. A yaw of
            +90° brings what was on the right to the centre.
        mode: interpolation.
        height: height of the result in pixels; None keeps H.

    Returns:
        (..., C, h, 2h). A yaw by whole pixels is exactly a roll of the columns.

    Raises:
        ConventionError: the image is not 2:1.
        ShapeError: the rotation is not (..., 3, 3).
    """
    check_shape("erp", erp, "... C H W")
    source_height, _ = check_erp("erp", erp)
    check_shape("rotation", rotation, "... 3 3")
    check_mode(erp, mode)
    if height is None:
        height = source_height
    check_height("height", height)
    # float64 rays would promise more digits than a float32 rotation has: say how exact they are.
    precision = torch.finfo(torch.promote_types(rotation.dtype, torch.float32)).eps
    wide = exact_dtype(erp.device, rotation.dtype)
    turns = rotation.to(device=erp.device, dtype=wide).reshape(-1, 3, 3)
    antialias = height != source_height and mode != "nearest"
    dtype = fraction_dtype(erp)

    def plan(view: int) -> Plan:
        def make() -> Plan:
            rays = _turned_erp_rays(height, turns[view])
            return make_plan(rays, source_height, antialias=antialias, dtype=dtype, precision=precision)

        return kept_plan(make, turns[view], "rotate", source_height, height, antialias, dtype, precision)

    return sample_views(erp, plan, rotation.shape[:-2], (height, 2 * height), mode=mode)


def resize_erp(erp: Tensor, height: int, *, mode: SampleMode = "bilinear") -> Tensor:
    """Change the size of an equirectangular image.

    Shrinking takes the mean over each output pixel's area, at any ratio; enlarging interpolates, across the
    seam and the poles. With mode "nearest" both pick the nearest pixel.

    Args:
        erp: (..., C, H, W) image, W = 2H.
        height: new height in pixels.
        mode: interpolation used for enlarging, or "nearest".

    Returns:
        (..., C, height, 2 height).

    Raises:
        ConventionError: the image is not 2:1.
        InputError: the height is not a positive integer, or an integer image without mode "nearest".
    """
    source_height, _ = check_erp("erp", erp)
    check_height("height", height)
    check_mode(erp, mode)
    if height == source_height:
        return erp
    if height > source_height or mode == "nearest":
        rays = erp_rays(height, device=erp.device, dtype=exact_dtype(erp.device, torch.float32))
        return sample_erp(erp, rays, mode=mode, antialias=False)
    work = erp.float() if erp.dtype in (torch.float16, torch.bfloat16) else erp
    return area_resize(area_resize(work, height, dim=-2), 2 * height, dim=-1).to(erp.dtype)


def _turned_erp_rays(height: int, rotation: Tensor) -> Tensor:
    """(3, H, 2H) directions of `erp_rays`, turned, by outer products: two operations per value."""
    sin_lon, cos_lon, sin_lat, cos_lat = erp_tables(height, rotation.device, rotation.dtype)
    x, y, z = rotation[:, :, None].unbind(1)
    level = x * sin_lon + z * cos_lon
    return level[:, None, :] * cos_lat[:, None] - (y * sin_lat)[:, :, None]
