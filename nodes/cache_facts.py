"""What a page is told of a cache: its extent, its ground, where its panoramas stand, its points."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from ..pantheon_core.cache import PointCache
    from .types import BuiltCache

_SAMPLE = 100_000
_MIDDLE = 0.02  # of the points, on either side, lie outside the core
_FEWEST = 50
_FLAT = 0.2  # quartiles of a floor's height below the camera differ by less than this part of it


def describe_cache(built: BuiltCache) -> dict[str, Any]:
    """Counts, bounds, ground and anchors, as JSON takes them."""
    cache = built.cache
    poses = [one.T_world_cam.float() for one in built.panoramas]
    return {
        "metric": cache.metric,
        "points": len(cache.points),
        "triangles": 0 if cache.triangles is None else len(cache.triangles),
        "sky": cache.sky is not None,
        **_extent(cache.points),
        "floor": floor_height(cache),
        "anchors": [
            {
                "name": one.name,
                "T_world_anchor": pose.flatten().tolist(),
                "width": one.rgb.shape[-1],
                "height": one.rgb.shape[-2],
            }
            for one, pose in zip(built.panoramas, poses, strict=True)
        ],
    }


def _extent(points: Tensor) -> dict[str, Any]:
    """The box of all points, and of the middle 96 % along each axis."""
    if not len(points):
        return {"bounds": None, "core": None}
    ordered = points[:: max(1, len(points) // _SAMPLE)].float().sort(dim=0).values
    edge = int(len(ordered) * _MIDDLE)
    return {
        "bounds": {"low": points.amin(0).tolist(), "high": points.amax(0).tolist()},
        "core": {"low": ordered[edge].tolist(), "high": ordered[len(ordered) - 1 - edge].tolist()},
    }


def floor_height(cache: PointCache) -> float | None:
    """World y of the ground under the first anchor, or None where what lies below it is not level.

    Measured on what the anchor saw more than 45 degrees below the horizon.
    """
    center = cache.T_world_anchor[0, :3, 3].to(cache.points)
    sight = cache.points[cache.anchor == 0].float() - center
    depth = sight[:, 1][sight[:, 1] > torch.hypot(sight[:, 0], sight[:, 2])]
    if len(depth) < _FEWEST:
        return None
    ordered = depth.sort().values
    low, middle, high = (float(ordered[int(len(ordered) * part)]) for part in (0.25, 0.5, 0.75))
    return float(center[1]) + middle if high - low < _FLAT * middle else None


def thinned_points(cache: PointCache, budget: int) -> tuple[Tensor, Tensor]:
    """Points (n, 3) float32 and colours (n, 4) uint8 with an opaque alpha; n is at most the budget.

    What is left out is left out evenly over the directions, and the same for the same budget.
    """
    from ..pantheon_core.cache import coarse_cache

    bare = dataclasses.replace(cache, triangles=None, edge=None)
    thin = coarse_cache(bare, budget)
    points, colors = thin.points.float().cpu(), thin.colors.cpu()
    if len(points) > budget:
        # Even steps through a list that is in the order of the picture.
        chosen = torch.arange(budget) * len(points) // budget
        points, colors = points[chosen], colors[chosen]
    opaque = torch.full((len(colors), 1), 255, dtype=torch.uint8)
    return points.contiguous(), torch.cat([colors, opaque], dim=1)
