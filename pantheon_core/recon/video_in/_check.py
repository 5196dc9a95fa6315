"""Places of key frames that the video itself contradicts."""

from __future__ import annotations

import dataclasses
import math

import torch
from torch import Tensor

from ...geometry import se3_inverse, transform_points
from ..poses import PanoramaPoses

__all__ = ["without_contradicted"]

_TOLERANCE = math.radians(20)
"""Measured turns between neighbouring key frames are biased by a few degrees; wrong places are far off."""


def without_contradicted(poses: PanoramaPoses, R_key_start: Tensor, names: list[int]) -> PanoramaPoses:
    """Take back the places of key frames whose turn is not the one that was measured from frame to frame.

    Pictures alone can mistake one side of a street for the other. The longest row of key frames that turned
    as it was measured is kept.

    Args:
        poses: of K key frames in the order of time.
        R_key_start: (K, 3, 3) float64, each camera from the first one's, as it was followed.
        names: K frame numbers, for the warning.

    Returns:
        Poses in the world of the first key frame that is left.
    """
    rows = poses.registered.nonzero()[:, 0].tolist()
    # World from the first camera: the same for all key frames that are right, but for a slow drift.
    R_world_start = poses.T_world_cam[:, :3, :3].double() @ R_key_start
    right = _longest_chain(rows, R_world_start)
    wrong = [row for row in rows if row not in right]
    if not wrong or len(rows) - len(wrong) < 2:
        return poses
    return _without(poses, wrong, [names[row] for row in wrong])


def _longest_chain(rows: list[int], R_world_start: Tensor) -> set[int]:
    """The most key frames in a row, each of which turned like the one before it in the chain.

    Wrong ones may agree with each other, but they are fewer; a chain follows a slow drift.
    """
    length, before = dict.fromkeys(rows, 1), dict[int, int]()
    for at, row in enumerate(rows):
        for other in rows[:at]:
            longer = length[other] + 1 > length[row]
            if longer and _angle(R_world_start[other].T @ R_world_start[row]) <= _TOLERANCE:
                length[row], before[row] = length[other] + 1, other
    end = max(rows, key=lambda row: length[row], default=-1)
    chain = {end}
    while end in before:
        end = before[end]
        chain.add(end)
    return chain


def _angle(rotation: Tensor) -> float:
    sine = torch.stack(
        (
            rotation[2, 1] - rotation[1, 2],
            rotation[0, 2] - rotation[2, 0],
            rotation[1, 0] - rotation[0, 1],
        )
    ).norm()
    return float(torch.atan2(sine, rotation.trace() - 1))


def _without(poses: PanoramaPoses, wrong: list[int], frames: list[int]) -> PanoramaPoses:
    registered = poses.registered.clone()
    registered[wrong] = False
    first = int(registered.nonzero()[0])
    T_first_world = se3_inverse(poses.T_world_cam[first].double())
    T_world_cam = (T_first_world @ poses.T_world_cam.double()).float()
    T_world_cam[~registered] = torch.eye(4)
    kept = registered[poses.observation_panorama]
    # A point that fewer than two of the rest see was never triangulated by them. Nothing is said of points
    # that came without observations.
    before, left = (
        torch.bincount(rows, minlength=len(poses.points))
        for rows in (poses.observation_point, poses.observation_point[kept])
    )
    seen = (left >= 2) | (before == 0)
    kept &= seen[poses.observation_point]
    points = poses.points[seen]
    warning = (
        f"Frames {', '.join(map(str, frames))}: the places that were found contradict how the camera turned "
        "from frame to frame; they are not used. The scene may repeat itself."
    )
    return dataclasses.replace(
        poses,
        T_world_cam=T_world_cam,
        registered=registered,
        points=transform_points(T_first_world, points.double()).float() if len(points) else points,
        colors=poses.colors[seen],
        observation_panorama=poses.observation_panorama[kept],
        observation_point=(seen.cumsum(0) - 1)[poses.observation_point[kept]],
        warnings=(*poses.warnings, warning),
    )
