"""Views that cover the sphere."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ...errors import InputError
from ...geometry import rotation_from_yaw_pitch_roll

__all__ = ["sphere_views"]


def sphere_views(level: int = 6, tilted: int = 4, tilt: float = math.radians(50)) -> Tensor:
    """Rotations of views that cover the whole sphere when each sees 90° and more.

    A ring of level views, which estimators know best, and a ring each above and below it. Neighbours overlap
    by a third, so that their scales can be compared; zenith and nadir are seen by every tilted view.

    Args:
        level: views around the horizon, the first along +z.
        tilted: views in each of the two other rings.
        tilt: their pitch up and down, radians.

    Returns:
        (level + 2 tilted, 3, 3) panorama camera from view camera.

    Raises:
        InputError: too few views to cover the sphere.
    """
    if level < 4 or tilted < 3:
        raise InputError(f"views: expected at least 4 level and 3 tilted views, got {level} and {tilted}")
    flat = torch.arange(level, dtype=torch.float64) * (2 * math.pi / level)
    yaw = torch.arange(tilted, dtype=torch.float64) * (2 * math.pi / tilted)
    rings = [(flat, torch.zeros_like(flat)), (yaw, yaw * 0 + tilt), (yaw + math.pi / tilted, yaw * 0 - tilt)]
    return torch.cat([rotation_from_yaw_pitch_roll(y, p) for y, p in rings]).float()
