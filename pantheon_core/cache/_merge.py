"""Several caches in one world frame -> one."""

from __future__ import annotations

import torch
from torch import Tensor

from ..errors import ConventionError, InputError
from ._sky import merge_sky
from ._types import PointCache, Provenance

__all__ = ["merge_caches"]


def merge_caches(caches: list[PointCache]) -> PointCache:
    """Put caches together, on the first one's device; the anchors are numbered on.

    Points of caches with another `origin` are moved to the first one's. Where several saw sky, the first
    one's colours hold.

    Args:
        caches: at least one; all metric or none.

    Raises:
        InputError: an empty list.
        ConventionError: some caches are metric and some are not.
    """
    if not caches:
        raise InputError("caches: expected at least one cache, got an empty list")
    if len({cache.metric for cache in caches}) > 1:
        raise ConventionError(
            "caches: expected all metric or none, got both; bring them to one scale before merging"
        )
    if len(caches) == 1:
        return caches[0]
    device, origin = caches[0].points.device, caches[0].origin
    points, poses, anchors, triangles, edges, angles = [], [], [], [], [], []
    first_point = first_anchor = 0
    for cache in caches:
        shift = (cache.origin - origin).to(cache.points.device)
        points.append((cache.points.double() + shift).float().to(device))
        pose = cache.T_world_anchor.clone()
        pose[:, :3, 3] = (pose[:, :3, 3].double() + shift).float()
        poses.append(pose.to(device))
        anchors.append((cache.anchor + first_anchor).to(device))
        angle = cache.anchor_pixel_angle
        angles.append(torch.zeros(len(pose), device=device) if angle is None else angle.to(device))
        if cache.triangles is not None and cache.edge is not None:
            triangles.append((cache.triangles + first_point).to(device))
            edges.append(cache.edge.to(device))
        first_point += len(cache.points)
        first_anchor += len(pose)

    def join(name: str) -> Tensor:
        return torch.cat([getattr(cache, name).to(device) for cache in caches])

    return PointCache(
        points=torch.cat(points),
        colors=join("colors"),
        confidence=join("confidence"),
        anchor=torch.cat(anchors),
        triangles=torch.cat(triangles) if triangles else None,
        edge=torch.cat(edges) if edges else None,
        sky=merge_sky([cache.sky for cache in caches if cache.sky is not None]),
        T_world_anchor=torch.cat(poses),
        anchor_pixel_angle=torch.cat(angles)
        if any(c.anchor_pixel_angle is not None for c in caches)
        else None,
        origin=origin.clone(),
        metric=caches[0].metric,
        provenance=_provenance(caches),
    )


def _provenance(caches: list[PointCache]) -> Provenance:
    """What all agree on under its own name, the rest under "number.name"."""
    out: Provenance = {"merged": len(caches)}
    names = {name for cache in caches for name in cache.provenance}
    for name in sorted(names):
        values = [cache.provenance.get(name) for cache in caches]
        if values[0] is not None and all(value == values[0] for value in values):
            out[name] = values[0]
        else:
            out |= {f"{i}.{name}": value for i, value in enumerate(values) if value is not None}
    return out
