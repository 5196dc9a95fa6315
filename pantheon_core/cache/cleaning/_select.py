"""Fewer points, or points at other places: the surface follows."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from .._types import PointCache

__all__ = ["move_points", "select_points"]

_STEP = 0.1  # corners of a moved triangle whose distances differ by more belong to different surfaces


def select_points(cache: PointCache, keep: Tensor) -> PointCache:
    """Keep the points of a (N,) bool mask, in order, and the triangles all of whose corners are kept."""
    if bool(keep.all()):
        return cache
    triangles, edge = cache.triangles, cache.edge
    if triangles is not None and edge is not None:
        whole = keep[triangles.long()].all(-1)
        number = keep.cumsum(0, dtype=torch.int32) - 1
        triangles, edge = number[triangles[whole].long()], edge[whole]
    return replace(
        cache,
        points=cache.points[keep],
        colors=cache.colors[keep],
        confidence=cache.confidence[keep],
        anchor=cache.anchor[keep],
        triangles=triangles,
        edge=edge,
    )


def move_points(cache: PointCache, moved: Tensor, points: Tensor) -> PointCache:
    """Put the points of a (N,) bool mask at new places (N, 3).

    Triangles with a moved corner are flagged anew: they span a depth edge where their corners' distances
    from the anchor differ by more than a tenth.
    """
    new = torch.where(moved[:, None], points, cache.points)
    edge = cache.edge
    if cache.triangles is not None and edge is not None:
        touched = moved[cache.triangles.long()].any(-1)
        corners = cache.triangles[touched].long()
        centers = cache.T_world_anchor[:, :3, 3].to(new)[cache.anchor[corners[:, 0]].long()]
        far = (new[corners] - centers[:, None]).norm(dim=-1)
        edge = edge.clone()
        edge[touched] = far.amax(-1) > far.amin(-1) * (1 + _STEP)
    return replace(cache, points=new, edge=edge)
