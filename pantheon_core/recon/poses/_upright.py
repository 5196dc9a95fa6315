"""A motion between two cameras that stand upright: three numbers, found where few matches are right."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ...geometry import rotation_from_quaternion_wxyz, rotation_from_yaw_pitch_roll
from ._epipolar import epipolar_inliers, spread

__all__ = ["refined_motion", "upright_motion"]

_HEADINGS = 240
_DIRECTIONS = 160
_KEPT = 12
_SEARCHED = 300
_WIDE = 3.0
_ENOUGH = 10
_STEPS = 10


def upright_motion(
    first: Tensor, second: Tensor, tolerance: float, *, seed: int = 0
) -> tuple[Tensor, Tensor] | None:
    """The motion that most of the sphere supports, sought among cameras that both stand upright.

    Photographs are levelled, or nearly so. A heading and a direction need three matches instead of five:
    where one match in six is right, a sample of three is right 36 times as often. Headings are tried one by
    one; with a heading, two matches give a direction. The best are then refined without the condition, so
    that cameras which lean a little keep their lean.

    Args:
        first: (M, 3) float64 unit directions in the first camera.
        second: (M, 3) the same features in the second.
        tolerance: radians by which a feature may be off.
        seed: of the random samples.

    Returns:
        R_first_second (3, 3) and the direction (3,) to the second camera in the first one's frame, or None.
    """
    generator = torch.Generator().manual_seed(seed)
    # The share of right matches decides, not their number: some hundreds tell a heading as well as all.
    some = torch.randperm(len(first), generator=generator)[:_SEARCHED]
    yaws = torch.arange(_HEADINGS, dtype=torch.float64) * (2 * math.pi / _HEADINGS)
    found = []
    for rotation in rotation_from_yaw_pitch_roll(yaws):
        count, direction = _best_direction(first[some], second[some] @ rotation.T, tolerance, generator)
        found.append((count, rotation, direction))
    found.sort(key=lambda one: -one[0])
    best, most = None, (0, 0)
    for _, rotation, direction in found[:_KEPT]:
        for towards in (direction, -direction):
            explained, _ = epipolar_inliers(first, second, rotation, towards, _WIDE * tolerance)
            if int(explained.sum()) < _ENOUGH:
                continue
            motion = refined_motion(first, second, rotation, towards, tolerance)
            explained, _ = epipolar_inliers(first, second, *motion, 2 * tolerance)
            worth = spread(first, second, *motion, tolerance), int(explained.sum())
            if worth > most:
                best, most = motion, worth
    return best


def _best_direction(
    first: Tensor, turned: Tensor, tolerance: float, generator: torch.Generator
) -> tuple[int, Tensor]:
    """How many matches the best of some directions explains at one heading, and that direction (3,)."""
    normal = torch.linalg.cross(first, turned)
    sample = torch.randint(len(first), (_DIRECTIONS, 2), generator=generator)
    # Two different matches: no direction follows from one, and one of length 0 would explain all.
    sample = sample[sample[:, 0] != sample[:, 1]]
    towards = torch.linalg.cross(normal[sample[:, 0]], normal[sample[:, 1]])
    towards = towards / towards.norm(dim=1, keepdim=True).clamp(min=1e-12)
    # The angle of the second ray off the plane of the first ray and the direction, both ways at once.
    aside = torch.linalg.cross(towards[:, None], first[None]).norm(dim=-1).clamp(min=0.05)
    count = ((towards @ normal.T).abs() < _WIDE * tolerance * aside).sum(1) * (towards.norm(dim=1) > 0.5)
    best = int(count.argmax())
    return int(count[best]), towards[best]


def refined_motion(
    first: Tensor, second: Tensor, rotation: Tensor, direction: Tensor, tolerance: float
) -> tuple[Tensor, Tensor]:
    """Fit all five numbers of a motion to the matches that it explains, wide at first, with a loss of Cauchy.

    Args:
        first: (M, 3) float64 unit directions.
        second: (M, 3).
        rotation: (3, 3) R_first_second to start from.
        direction: (3,) unit, to start from.
        tolerance: radians by which a feature may be off.
    """
    for step in range(_STEPS):
        width = tolerance * max(2.0, 2 * _WIDE * 0.7**step)
        explained, _ = epipolar_inliers(first, second, rotation, direction, width)
        if int(explained.sum()) < _ENOUGH:
            break
        ray, turned = first[explained], second[explained] @ rotation.T
        plane = torch.linalg.cross(direction.expand_as(ray), ray)
        aside = plane.norm(dim=1).clamp(min=0.05)
        off = (plane * turned).sum(1) / aside
        tangent = torch.linalg.svd(direction[None]).Vh[1:]
        by_turn = torch.linalg.cross(turned, plane) / aside[:, None]
        by_direction = torch.linalg.cross(ray, turned) / aside[:, None] @ tangent.T
        slope = torch.cat((by_turn, by_direction), dim=1)
        weight = 1 / (1 + (off / tolerance) ** 2)
        normal = slope.T @ (slope * weight[:, None]) + 1e-9 * torch.eye(5, dtype=slope.dtype)
        change = -torch.linalg.solve(normal, slope.T @ (weight * off))
        half = torch.cat((torch.ones(1, dtype=change.dtype), change[:3] / 2))
        rotation = rotation_from_quaternion_wxyz(half) @ rotation
        direction = torch.nn.functional.normalize(direction + tangent.T @ change[3:], dim=0)
    return rotation, direction
