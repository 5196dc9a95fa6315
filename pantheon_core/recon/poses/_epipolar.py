"""Two rays of one feature: whether a motion between their cameras explains them."""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["epipolar_inliers", "spread"]

_CELL = math.radians(15)
_MIN_PARALLAX = math.radians(1.5)


def epipolar_inliers(
    first: Tensor, second: Tensor, rotation: Tensor, direction: Tensor, tolerance: float
) -> tuple[Tensor, Tensor]:
    """Which pairs of directions a motion explains.

    A point lies in the plane of both cameras and, seen from the second camera, is turned away from the
    direction of travel by its parallax; a parallax of the wrong sign is a point behind the cameras.

    Args:
        first: (M, 3) unit directions in the first camera.
        second: (M, 3) in the second.
        rotation: (3, 3) R_first_second.
        direction: (3,) unit, from the first camera to the second, in the first one's frame.
        tolerance: radians.

    Returns:
        (M,) bool explained, and (M,) parallax in radians.
    """
    turned = second @ rotation.T
    normal = torch.linalg.cross(direction.expand_as(first), first)
    length = normal.norm(dim=1).clamp(min=1e-9)
    off = ((normal * turned).sum(1) / length).clamp(-1, 1).asin().abs()
    # Angles from the direction of travel: the second camera is nearer to what lies ahead.
    near = torch.atan2(
        (normal * torch.linalg.cross(direction.expand_as(turned), turned)).sum(1) / length, turned @ direction
    )
    far = torch.atan2(length, first @ direction)
    parallax = near - far
    return (off < tolerance) & (parallax > -tolerance), parallax


def spread(first: Tensor, second: Tensor, rotation: Tensor, direction: Tensor, tolerance: float) -> int:
    """How much of the sphere supports a motion: cells of 15° with a match of clear parallax in them.

    Counted in cells, not in matches, a repeating wall weighs no more than the part of the view it fills.

    Returns:
        the smaller of the numbers in the two panoramas.
    """
    explained, parallax = epipolar_inliers(first, second, rotation, direction, tolerance)
    clear = explained & (parallax > _MIN_PARALLAX)
    return min(_cells(first[clear]), _cells(second[clear]))


def _cells(rays: Tensor) -> int:
    rows = round(math.pi / _CELL)
    latitude = torch.atan2(-rays[:, 1], torch.hypot(rays[:, 0], rays[:, 2]))
    row = ((latitude / math.pi + 0.5) * rows).long().clamp(0, rows - 1)
    columns = (2 * rows * torch.cos(((row + 0.5) / rows - 0.5) * math.pi)).ceil()
    column = ((torch.atan2(rays[:, 0], rays[:, 2]) / (2 * math.pi) + 0.5) * columns).long()
    return len(torch.unique(row * 4 * rows + column))
