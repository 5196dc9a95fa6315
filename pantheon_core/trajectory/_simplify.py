"""From one pose per frame to few keyframes."""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor

from ..check import check_finite
from ..errors import InputError
from ..geometry import quaternion_wxyz_from_rotation
from ._interpolate import interpolate
from ._keyframes import Keyframe, KeyframePath, Trajectory, as_number


def simplify(
    trajectory: Trajectory, *, tolerance: float | None = None, angle_tolerance: float = math.radians(0.5)
) -> KeyframePath:
    """Keyframes whose smooth curve passes every frame of a track within the tolerances.

    Starts with the first and the last frame and adds, in every segment that is too far off, the frame that is
    farthest off, until none is. With all frames as keys nothing is off, so this always ends.

    Args:
        trajectory: T frames.
        tolerance: metres; None takes 1 % of the track's length, at least 1 mm.
        angle_tolerance: radians.

    Returns:
        KeyframePath of the same frames and rate, its keys at times of frames.

    Raises:
        InputError: a tolerance is not above 0.
    """
    check_finite("trajectory", trajectory.T_world_cam)
    length = float(trajectory.positions.diff(dim=0).norm(dim=-1).sum()) if len(trajectory) > 1 else 0.0
    tolerance = max(1e-3, 0.01 * length) if tolerance is None else as_number("tolerance", tolerance)
    angle_tolerance = as_number("angle_tolerance", angle_tolerance)
    for name, value in (("tolerance", tolerance), ("angle_tolerance", angle_tolerance)):
        if value <= 0:
            raise InputError(f"{name}: expected a value above 0, got {value:g}")
    poses = trajectory.T_world_cam.double().cpu()
    turns = quaternion_wxyz_from_rotation(poses[:, :3, :3])
    chosen = sorted({0, len(poses) - 1})
    while True:
        path = _path(trajectory.fps, poses, turns, chosen)
        error = _error(path, poses, tolerance, angle_tolerance)
        # A frame that is a key is exact, to rounding.
        error[chosen] = 0.0
        worst = [
            start + 1 + int(error[start + 1 : end].argmax())
            for start, end in itertools.pairwise(chosen)
            if end > start + 1 and float(error[start + 1 : end].max()) > 1.0
        ]
        if not worst:
            return path
        chosen = sorted({*chosen, *worst})


def _path(fps: float, poses: Tensor, turns: Tensor, chosen: list[int]) -> KeyframePath:
    keys = tuple(
        Keyframe(
            time=i / fps, position=tuple(poses[i, :3, 3].tolist()), quaternion_wxyz=tuple(turns[i].tolist())
        )
        for i in chosen
    )
    return KeyframePath(keyframes=keys, fps=fps, frames=len(poses))


def _error(path: KeyframePath, poses: Tensor, tolerance: float, angle_tolerance: float) -> Tensor:
    """How far off every frame is (T,), in tolerances."""
    made = interpolate(path).T_world_cam.double()
    away = (made[:, :3, 3] - poses[:, :3, 3]).norm(dim=-1)
    # |R - S| of two rotations by the angle a between them is 2 sqrt(2) sin(a / 2).
    chord = (made[:, :3, :3] - poses[:, :3, :3]).flatten(1).norm(dim=-1)
    angle = 2 * torch.asin((chord / math.sqrt(8.0)).clamp(max=1.0))
    return torch.maximum(away / tolerance, angle / angle_tolerance)
