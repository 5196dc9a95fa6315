"""MOGE_GEOMETRY of ComfyUI's MoGe nodes.

A dict of tensors: `points` (B, H, W, 3), `mask` (B, H, W) bool, `intrinsics` (B, 3, 3) of perspective views
only, for coordinates 0..1 over the image; `normal` only of version 2. Perspective points are in the OpenCV
camera, infinite where the mask is False. Panorama points lie along the rays of their pixels, in a frame whose
+z is up and whose -x is the middle of the image: the pixel at (u, v) of 0..1 looks along (sin v pi cos t,
sin v pi sin t, cos v pi) with t = (1 - u) 2 pi. Where no view saw anything they hold a made-up distance, and
the mask is False.

Source: comfy_extras/nodes_moge.py and comfy/ldm/moge/panorama.py of ComfyUI 0.27.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ...check import check_shape
from ...errors import ConventionError, InputError
from ...geometry import erp_rays
from .._types import DistanceEstimate
from ..given import GivenBackend
from ._views import PinholeViews, estimate_of_views

__all__ = ["MOGE_FROM_PANORAMA", "estimates_from_moge"]

MOGE_FROM_PANORAMA: tuple[tuple[float, ...], ...] = ((0.0, 0.0, -1.0), (1.0, 0.0, 0.0), (0.0, -1.0, 0.0))
"""Rotation from our camera (+x right, +y down, +z forward) to the frame of MoGe's panorama points."""


def estimates_from_moge(geometry: Mapping[str, Any], heights: Sequence[int]) -> list[DistanceEstimate]:
    """One estimate for each panorama from what ComfyUI's MoGe nodes give.

    A perspective view is taken as seen from the panorama's centre, looking along the middle of its picture;
    it fills its part of the sphere. What MoGe masks is far away or nothing: it counts as sky.

    Args:
        geometry: a MOGE_GEOMETRY.
        heights: of the panoramas, pixels; the batch has one item for each.

    Raises:
        InputError: fields are missing, or the batch has another number of items.
        ConventionError: panorama points that do not lie along the rays of their pixels.
    """
    points = geometry.get("points")
    if not isinstance(points, Tensor):
        raise InputError(
            f"moge_geometry: expected the field points, got {', '.join(sorted(geometry)) or 'nothing'}"
        )
    check_shape("moge_geometry.points", points, "B H W 3")
    if len(points) != len(heights):
        raise InputError(
            f"moge_geometry: expected one item for each of the {len(heights)} panoramas, got {len(points)}; "
            "run MoGe on each panorama, and batch in their order"
        )
    points = points.detach().cpu().float()
    mask = geometry.get("mask")
    kept = points.isfinite().all(-1)
    if isinstance(mask, Tensor):
        check_shape("moge_geometry.mask", mask, "B H W", B=len(points), H=points.shape[1], W=points.shape[2])
        kept = kept & mask.cpu().bool()
    intrinsics = geometry.get("intrinsics")
    if intrinsics is None:
        return [_panorama(one, keep, height) for one, keep, height in zip(points, kept, heights, strict=True)]
    check_shape("moge_geometry.intrinsics", intrinsics, "B 3 3", B=len(points))
    # only version 2 predicts normals, and version 2 is in metres
    metric = "normal" in geometry
    return [
        _perspective(points[i], kept[i], intrinsics[i].cpu().float(), heights[i], metric)
        for i in range(len(points))
    ]


def _panorama(points: Tensor, kept: Tensor, height: int) -> DistanceEstimate:
    """Distances along the pixels' rays, once these are seen to be the frame's."""
    rows, columns = points.shape[:2]
    if columns != 2 * rows:
        raise ConventionError(
            f"moge_geometry: expected panorama points twice as wide as high, got {columns} x {rows}; give "
            "MoGe the whole 2:1 panorama"
        )
    if not bool(kept.any()):
        raise InputError("moge_geometry: expected some points, got none; all of them are masked")
    distance = torch.where(kept, points.norm(dim=-1), 0.0)
    rays = erp_rays(rows) @ torch.tensor(MOGE_FROM_PANORAMA).T
    cosine = (points * rays).sum(-1)[kept] / distance[kept].clamp(min=1e-12)
    if float(cosine.median()) < 0.99:
        raise ConventionError(
            "moge_geometry: the panorama points do not lie along the rays of their pixels; expected them as "
            "ComfyUI's MoGe panorama node gives them (z up, the image's middle along -x)"
        )
    return GivenBackend(depth=torch.where(kept, distance, math.inf), metric=False).estimate(
        torch.zeros(3, height, 2 * height)
    )


def _perspective(
    points: Tensor, kept: Tensor, intrinsics: Tensor, height: int, metric: bool
) -> DistanceEstimate:
    depth = torch.where(kept, points[..., 2], 0.0)[None]
    views = PinholeViews(
        depth=depth,
        tan_half=(0.5 / intrinsics[[0, 1], [0, 1]])[None],
        T_pano_view=torch.eye(4)[None],
        sky=(~kept).float()[None],
        confidence=torch.ones_like(depth),
    )
    return estimate_of_views(views, height, metric=metric)
