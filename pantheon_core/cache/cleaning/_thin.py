"""One point per voxel; the surface is thinned with its points."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from ...errors import InputError
from .._coarse import each_once, with_three_corners
from .._types import PointCache

__all__ = ["thin_cache"]

_MOST_CELLS = 2**62


@torch.no_grad()
def thin_cache(cache: PointCache, voxel: float) -> PointCache:
    """Keep one point of every anchor in each voxel: the one nearest to the mean of those that fall in it.

    The points that stay keep their place and order; their colours and confidences become the voxel's means.
    Triangles follow their corners to the points that stay. Those that shrink to a line vanish, and of several
    with the same corners one stays, as an edge only if all were: a closed surface stays closed, but for
    folds thinner than a voxel. A cloud without a surface gets gaps where the voxels are wider than its points
    are drawn.

    Args:
        cache: the cache.
        voxel: edge of the cubes, in the cache's unit.

    Raises:
        InputError: the voxel is not above 0, or so small for the scene that its cubes cannot be numbered.
    """
    if not 0 < voxel < float("inf"):
        raise InputError(f"voxel: expected a finite size above 0, got {voxel}")
    if not len(cache.points):
        return cache
    cell = _cells(cache, voxel)
    count = int(cell.max()) + 1
    if count == len(cell):
        return cache
    members = torch.bincount(cell, minlength=count).double()

    def mean(values: Tensor) -> Tensor:
        total = torch.zeros((count, *values.shape[1:]), dtype=torch.float64, device=values.device)
        total.index_add_(0, cell, values.double())
        return total / (members if values.ndim == 1 else members[:, None])

    off = (cache.points.double() - mean(cache.points)[cell]).square().sum(-1)
    least = off.new_full((count,), float("inf")).scatter_reduce_(0, cell, off, "amin")
    number = torch.arange(len(cell), device=cell.device)
    first = number.new_full((count,), len(cell))
    nearest = off <= least[cell]
    first.scatter_reduce_(0, cell[nearest], number[nearest], "amin")
    order = first.argsort()
    stays = first[order]
    rank = torch.empty_like(order)
    rank[order] = torch.arange(count, device=order.device)
    triangles, edge = cache.triangles, cache.edge
    if triangles is not None and edge is not None:
        triangles, edge = each_once(*with_three_corners(rank[cell][triangles.long()], edge))
    return replace(
        cache,
        points=cache.points[stays],
        colors=mean(cache.colors)[order].round().to(torch.uint8),
        confidence=mean(cache.confidence)[order].float(),
        anchor=cache.anchor[stays],
        triangles=triangles,
        edge=edge,
    )


def _cells(cache: PointCache, voxel: float) -> Tensor:
    """(N,) int64: the number of each point's voxel and anchor, without gaps."""
    points = cache.points.double()
    wide = (points.amax(0) - points.amin(0)) / voxel
    if float(wide.amax()) > 2**31 or float((wide + 1).prod()) * len(cache.T_world_anchor) > _MOST_CELLS:
        raise InputError(
            f"voxel: {voxel:g} is too small for a scene {float((points.amax(0) - points.amin(0)).amax()):g} "
            "wide; leave out far points first, or take larger voxels"
        )
    place = (points / voxel).floor().long()
    place = place - place.amin(0)
    sizes = place.amax(0) + 1
    key = ((cache.anchor.long() * sizes[0] + place[:, 0]) * sizes[1] + place[:, 1]) * sizes[2] + place[:, 2]
    return torch.unique(key, return_inverse=True)[1]
