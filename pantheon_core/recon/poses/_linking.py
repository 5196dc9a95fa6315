"""Panoramas that the mapper left out although a pair says how they stand to one that has a place."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from ._features import SphereFeatures
from ._pairs import PanoramaPair

__all__ = ["step_along", "weakly_linked"]

_ENOUGH = 4
_CLEAR = math.radians(2)
_WIDE = 3.0


def weakly_linked(
    T_world_cam: Mapping[int, Tensor],
    tracks: Mapping[int, Mapping[int, Tensor]],
    features: Sequence[SphereFeatures],
    pairs: Mapping[tuple[int, int], PanoramaPair],
    tolerance: float,
) -> tuple[int, Tensor] | None:
    """The panorama without a place that is tied best to one with a place, and its pose.

    The mapper needs many points that three panoramas share. A pair by itself tells turn and direction; one
    number is missing then, the length of the step, and each shared point tells it.

    Args:
        T_world_cam: panorama -> its pose (4, 4), of those with a place.
        tracks: panorama -> feature -> its point (3,), of those with a place.
        features: of all panoramas.
        pairs: (i, j) with i < j -> what the two share; those without a direction say nothing.
        tolerance: radians by which a feature may be off.

    Returns:
        The panorama and its T_world_cam, or None if no step is told by points that agree.
    """
    best, most = None, 0
    for (first, second), pair in pairs.items():
        if pair.R_first_second is None or pair.direction is None or (first in tracks) == (second in tracks):
            continue
        rotation, direction, matches = pair.R_first_second, pair.direction, pair.material
        known, new = first, second
        if second in tracks:
            known, new, matches = second, first, matches.flip(1)
            direction, rotation = -(rotation.T @ direction), rotation.T
        shared = [row for row in matches.tolist() if row[0] in tracks[known]]
        if len(shared) < _ENOUGH:
            continue
        pose = T_world_cam[known]
        points = torch.stack([tracks[known][row[0]] for row in shared])
        local = (points - pose[:3, 3]) @ pose[:3, :3]
        rays = features[new].rays[[row[1] for row in shared]] @ rotation.T
        step, agree = step_along(local, rays, direction, _WIDE * tolerance)
        if agree > most and 2 * agree > len(shared):
            placed = torch.eye(4, dtype=torch.float64)
            placed[:3, :3] = pose[:3, :3] @ rotation
            placed[:3, 3] = pose[:3, 3] + pose[:3, :3] @ (direction * step)
            best, most = (new, placed), agree
    return best


def step_along(points: Tensor, rays: Tensor, direction: Tensor, tolerance: float) -> tuple[float, int]:
    """How far along a direction points are seen along rays, and how many points agree on it.

    Args:
        points: (K, 3) in the first camera.
        rays: (K, 3) unit, from the second camera, turned as the first.
        direction: (3,) unit, from the first camera to the second.
        tolerance: radians by which a ray may miss its point.

    Returns:
        The step in the points' unit and the number of points; (0, 0) if fewer than four agree.
    """
    across = torch.linalg.cross(direction.expand_as(rays), rays)
    square = across.square().sum(1)
    steps = (torch.linalg.cross(points, rays) * across).sum(1) / square.clamp(min=1e-12)
    steps = steps[(square > math.sin(_CLEAR) ** 2) & (steps > 0)]
    if not len(steps):
        return 0.0, 0
    seen = torch.nn.functional.normalize(points - steps[:, None, None] * direction, dim=-1)
    agree = ((seen * rays).sum(-1) > math.cos(tolerance)).sum(1)
    if int(agree.max()) < _ENOUGH:
        return 0.0, 0
    return float(steps[agree.argmax()]), int(agree.max())
