"""Fewer points for a quick look: neighbours that an anchor saw in one direction become one point."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from ..errors import InputError
from ._types import PointCache

__all__ = ["coarse_cache", "each_once", "with_three_corners"]

_BAND = math.log(1.05)  # points of one direction whose distances differ by less become one
_POINTS_PER_SQUARED_ROW = 1.45  # cells of a sphere (4 / pi) and those that hold two surfaces; measured
_NEAREST, _FARTHEST = 1e-6, 1e12  # in the cache's unit: what lies beyond shares the last band
_BANDS = int(math.log(_FARTHEST / _NEAREST) / _BAND) + 1
_CHUNK = 1 << 22  # points or triangles at a time: a large cache must not need many times its own memory


def coarse_cache(cache: PointCache, budget: int) -> PointCache:
    """A cache of about `budget` points that looks the same from further off; a small one stays as it is.

    The sphere around each anchor is cut into cells of equal size. The points of a cell at about the same
    distance become their mean; triangles follow their corners and vanish where two corners became one. So a
    surface stays closed, and one at a depth edge stays apart from what is behind it. The result depends on
    nothing but the cache and the budget.

    Args:
        cache: the cache.
        budget: points to aim at; a cloud with many layers of depth may keep up to twice as many.

    Raises:
        InputError: the budget is below 100.
    """
    if budget < 100:
        raise InputError(f"budget: expected at least 100 points, got {budget}")
    if len(cache.points) <= budget:
        return cache
    anchors = len(cache.T_world_anchor)
    rows = max(4, round(math.sqrt(budget / (anchors * _POINTS_PER_SQUARED_ROW))))
    cell = _cells(cache, rows)
    while rows > 4 and int(cell.max()) + 1 > 2 * budget:
        rows = max(4, rows * 2 // 3)
        cell = _cells(cache, rows)
    return _merged(cache, cell, math.pi / rows)


def _cells(cache: PointCache, rows: int) -> Tensor:
    """(N,) int64: the number of each point's cell, without gaps, in the order of the anchors' grids."""
    centers = cache.T_world_anchor[:, :3, 3].to(cache.points)
    chunks = zip(cache.points.split(_CHUNK), cache.anchor.split(_CHUNK), strict=True)
    keys = [_keys(points.float(), anchor.long(), centers, rows) for points, anchor in chunks]
    return torch.unique(torch.cat(keys), return_inverse=True)[1]


def _keys(points: Tensor, anchor: Tensor, centers: Tensor, rows: int) -> Tensor:
    sight = points - centers[anchor]
    across = torch.hypot(sight[:, 0], sight[:, 2])
    latitude = torch.atan2(-sight[:, 1], across)
    row = ((0.5 - latitude / math.pi) * rows).long().clamp(0, rows - 1)
    columns = (2 * rows * torch.cos(((row + 0.5) / rows - 0.5) * math.pi)).round().clamp_min(3).long()
    turn = torch.atan2(sight[:, 0], sight[:, 2]) / (2 * math.pi) + 0.5
    column = torch.minimum((turn * columns).long(), columns - 1)
    far = torch.hypot(across, sight[:, 1]).clamp(_NEAREST, _FARTHEST)
    band = ((far / _NEAREST).log() / _BAND).long()
    return ((anchor * rows + row) * (2 * rows) + column) * _BANDS + band


def _merged(cache: PointCache, cell: Tensor, angle: float) -> PointCache:
    count = int(cell.max()) + 1
    members = torch.bincount(cell, minlength=count).to(torch.float32)

    def mean(values: Tensor) -> Tensor:
        total = values.new_zeros((count, *values.shape[1:]), dtype=torch.float32)
        for part, of in zip(values.split(_CHUNK), cell.split(_CHUNK), strict=True):
            total.index_add_(0, of, part.float())
        return total / (members if values.ndim == 1 else members[:, None])

    anchor = cache.anchor.new_zeros(count)
    anchor[cell] = cache.anchor  # all members of a cell have the same
    triangles, edge = cache.triangles, cache.edge
    if triangles is not None and edge is not None:
        chunks = zip(triangles.split(_CHUNK), edge.split(_CHUNK), strict=True)
        kept = [with_three_corners(cell[some.long()], flags) for some, flags in chunks]
        triangles, edge = each_once(*(torch.cat(parts) for parts in zip(*kept, strict=True)))
    coarse = torch.full((len(cache.T_world_anchor),), angle)
    before = cache.anchor_pixel_angle
    return replace(
        cache,
        points=mean(cache.points),
        colors=mean(cache.colors).round().to(torch.uint8),
        confidence=mean(cache.confidence),
        anchor=anchor,
        triangles=triangles,
        edge=edge,
        anchor_pixel_angle=coarse if before is None else torch.maximum(coarse, before.cpu().float()),
    )


def with_three_corners(corners: Tensor, edge: Tensor) -> tuple[Tensor, Tensor]:
    """Those triangles (M, 3) no two of whose corners became one."""
    a, b, c = corners.unbind(1)
    whole = (a != b) & (b != c) & (c != a)
    return corners[whole], edge[whole]


def each_once(corners: Tensor, edge: Tensor) -> tuple[Tensor, Tensor]:
    """Each triangle once; a surface wins over an edge with the same corners."""
    if not len(corners):
        return corners.to(torch.int32), edge
    low, middle, high = corners.sort(dim=1).values.unbind(1)
    count = int(high.max()) + 1
    pair = torch.unique(low * count + middle, return_inverse=True)[1]
    found, which = torch.unique(pair * count + high, return_inverse=True)
    position = torch.arange(len(which), device=which.device)
    first = position.new_full((len(found),), len(which)).scatter_reduce_(0, which, position, "amin")
    # Edges of all that became one: only where each was an edge is the one left an edge.
    flags = edge.new_ones(len(found), dtype=torch.uint8)
    flags.scatter_reduce_(0, which, edge.to(torch.uint8), "amin")
    # Neighbours in the picture stay neighbours in the list: a shuffled cache renders far slower.
    order = first.argsort()
    return corners[first[order]].to(torch.int32), flags[order].bool()
