"""Which pixels of its anchor's panorama a point came from."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..cache import PointCache
from ..geometry import rays_to_erp_pixels

__all__ = ["NOWHERE", "PixelGrid", "pixel_grids"]

NOWHERE = -9.0  # y of a point that came from no pixel
_ON_GRID = 0.05  # pixels: a point nearer to a pixel's centre of its anchor's panorama came from there


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PixelGrid:
    """The pixels of one anchor's panorama.

    Attributes:
        anchor: its number.
        T_world_cam: (4, 4), where it stood.
        x: (N,) float32 column of each point's pixel.
        y: (N,) float32 row, NOWHERE for points that came from none.
        number: (H, W) int64, each pixel's point, -1 where none.
    """

    anchor: int
    T_world_cam: Tensor
    x: Tensor
    y: Tensor
    number: Tensor


def pixel_grids(cache: PointCache, points: Tensor) -> list[PixelGrid]:
    """The grids of all anchors whose panorama's pixels are known and most of whose points lie on them.

    Points that were thinned or moved lie in the middle of a pixel by chance only: those have no neighbours.

    Args:
        cache: anchors and their pixels' angles.
        points: (N, 3) world points on the device to work on.
    """
    if cache.anchor_pixel_angle is None:
        return []
    anchor = cache.anchor.to(points.device)
    grids = []
    for index, angle in enumerate(cache.anchor_pixel_angle.tolist()):
        if angle > 0:
            T_world_cam = cache.T_world_anchor[index].to(points)
            height = max(2, round(math.pi / angle))
            mine = anchor == index
            x, y, number = _pixels(points, mine, T_world_cam, height)
            if 2 * int((number >= 0).sum()) > int(mine.sum()):
                grids.append(PixelGrid(anchor=index, T_world_cam=T_world_cam, x=x, y=y, number=number))
    return grids


def _pixels(points: Tensor, mine: Tensor, T_world_cam: Tensor, height: int) -> tuple[Tensor, Tensor, Tensor]:
    """Which pixels of a panorama points came from.

    Returns:
        ((N,) float32 x, (N,) float32 y of each point's pixel, y NOWHERE where none, (H, W) int64 number of
        each pixel's point, -1 where none).
    """
    of = mine.nonzero()[:, 0]
    rays = (points.index_select(0, of) - T_world_cam[:3, 3]) @ T_world_cam[:3, :3]
    xy = rays_to_erp_pixels(rays, height)
    center = xy.round()
    on = ((xy - center).abs() < _ON_GRID).all(-1) & (center[:, 1] >= 0) & (center[:, 1] < height)
    of, center = of[on], center[on]
    column, row = center[:, 0] % (2 * height), center[:, 1]
    number = torch.full((height, 2 * height), -1, dtype=torch.int64, device=points.device)
    number[row.long(), column.long()] = of
    alone = number[row.long(), column.long()] == of  # two points in one pixel are no grid
    x, y = points.new_zeros(len(points)), points.new_full((len(points),), NOWHERE)
    x[of[alone]], y[of[alone]] = column[alone], row[alone]
    return x, y, number
