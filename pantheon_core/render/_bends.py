"""Colours between vertices: how far they bend away from the straight line along each side of a triangle."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..cache import PointCache
from ..geometry import rays_to_erp_pixels

__all__ = ["color_bends"]

_ON_GRID = 0.05  # pixels: a vertex nearer to a pixel's centre of its anchor's panorama came from there
_BLOCK = 1 << 19  # triangles at a time: bounds the memory at any panorama size


def color_bends(cache: PointCache, points: Tensor, triangles: Tensor, inner: Tensor) -> Tensor:
    """Curvature of the colour along the sides of triangles whose vertices are pixels of a panorama.

    Between vertices i and j, one pixel apart, with h and k the next pixels beyond them on the same line, the
    colour at i + s (j - i) is (1 - s) ci + s cj + s (1 - s) (ci + cj - ch - ck) / 4: Catmull and Rom's cubic
    made symmetric. Over a triangle with weights w the three sides' terms wi wj bend_ij are added, which is
    exact for colours that are quadratic in the panorama.

    Args:
        cache: colours, anchors and where these stood.
        points: (N, 3) world points on the device to work on.
        triangles: (M, 3) int32.
        inner: (N,) bool, vertices that no depth edge touches: other sides get no bend.

    Returns:
        (M, 3 sides, 3 channels) int8 in colour steps of 1/255; side k is opposite corner k.
    """
    bends = torch.zeros((len(triangles), 3, 3), dtype=torch.int8, device=points.device)
    if cache.anchor_pixel_angle is None or not len(triangles):
        return bends
    colors, anchor = cache.colors.to(points.device), cache.anchor.to(points.device)
    of_triangle = anchor[triangles[:, 0].long()]
    for index, angle in enumerate(cache.anchor_pixel_angle.tolist()):
        if angle <= 0:
            continue
        height = max(2, round(math.pi / angle))
        pixel, number = _pixels(points, anchor == index, cache.T_world_anchor[index].to(points), height)
        pixel = torch.where(inner[:, None], pixel, -1)
        for block in (of_triangle == index).nonzero()[:, 0].split(_BLOCK):
            corners = triangles[block].long()
            for side in range(3):
                ends = corners[:, (side + 1) % 3], corners[:, (side + 2) % 3]
                bends[block, side] = _side_bend(colors, ends, pixel, number)
    return bends


def _pixels(points: Tensor, mine: Tensor, T_world_cam: Tensor, height: int) -> tuple[Tensor, Tensor]:
    """((N, 2) int64 pixel x, y that a point came from, (H, W) int64 number of its point); -1 where none."""
    of = mine.nonzero()[:, 0]
    rays = (points[of] - T_world_cam[:3, 3]) @ T_world_cam[:3, :3]
    xy = rays_to_erp_pixels(rays, height)
    center = xy.round()
    on = ((xy - center).abs() < _ON_GRID).all(-1) & (center[:, 1] >= 0) & (center[:, 1] < height)
    of, center = of[on], center[on].long()
    x, y = center[:, 0] % (2 * height), center[:, 1]
    number = torch.full((height, 2 * height), -1, dtype=torch.int64, device=points.device)
    number[y, x] = of
    pixel = torch.full((len(points), 2), -1, dtype=torch.int64, device=points.device)
    alone = number[y, x] == of  # two points in one pixel are no grid
    pixel[of[alone]] = torch.stack((x, y), -1)[alone]
    return pixel, number


def _side_bend(colors: Tensor, ends: tuple[Tensor, Tensor], pixel: Tensor, number: Tensor) -> Tensor:
    """(M, 3) int8 bend between two vertices, 0 where the pixels on their line are not all there."""
    height, width = number.shape
    first, last = pixel[ends[0]], pixel[ends[1]]
    dx = (last[:, 0] - first[:, 0] + width // 2) % width - width // 2
    dy = last[:, 1] - first[:, 1]
    ok = (first[:, 1] >= 0) & (last[:, 1] >= 0) & (dx.abs() <= 1) & (dy.abs() <= 1)
    y0, y1 = first[:, 1] - dy, last[:, 1] + dy
    ok &= (y0 >= 0) & (y0 < height) & (y1 >= 0) & (y1 < height)
    before = number[y0.clamp(0, height - 1), (first[:, 0] - dx) % width]
    after = number[y1.clamp(0, height - 1), (last[:, 0] + dx) % width]
    ok &= (before >= 0) & (after >= 0)
    near = colors[ends[0]].short() + colors[ends[1]].short()
    far = colors[before.clamp_min(0)].short() + colors[after.clamp_min(0)].short()
    return torch.where(ok[:, None], ((near - far).float() / 4).round().clamp(-127, 127), 0.0).to(torch.int8)
