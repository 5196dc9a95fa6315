"""Rigid motions as matrices `T_dst_src (..., 4, 4)`: p_dst = T_dst_src @ p_src."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..check import check_shape
from ..errors import InputError, ShapeError
from .rotations import rotate_vectors

__all__ = ["look_at", "se3_from", "se3_inverse", "transform_points"]


def se3_from(rotation: Tensor, translation: Tensor) -> Tensor:
    """Assemble (..., 4, 4) from a rotation (..., 3, 3) and a translation (..., 3), broadcast together.

    Raises:
        ShapeError: the last axes do not fit.
    """
    check_shape("rotation", rotation, "... 3 3")
    check_shape("translation", translation, "... 3")
    dtype = torch.promote_types(rotation.dtype, translation.dtype)
    lead = torch.broadcast_shapes(rotation.shape[:-2], translation.shape[:-1])
    motion = torch.zeros(*lead, 4, 4, dtype=dtype, device=rotation.device)
    motion[..., :3, :3] = rotation
    motion[..., :3, 3] = translation
    motion[..., 3, 3] = 1
    return motion


def se3_inverse(motion: Tensor) -> Tensor:
    """T_src_dst of T_dst_src (..., 4, 4), by transposing the rotation.

    Raises:
        ShapeError: not (..., 4, 4).
    """
    check_shape("motion", motion, "... 4 4")
    rotation = motion[..., :3, :3].transpose(-1, -2)
    return se3_from(rotation, -(rotation @ motion[..., :3, 3:]).squeeze(-1))


def transform_points(motion: Tensor, points: Tensor) -> Tensor:
    """Move points from the frame `src` to the frame `dst`.

    Args:
        motion: T_dst_src (4, 4) for all points, or (B..., 4, 4) with one motion per leading index of points.
        points: (B..., *, 3) in the frame `src`; any axes may follow the motions' own.

    Returns:
        Points of the same shape, in the frame `dst`.

    Raises:
        ShapeError: the leading axes of the points are not those of the motions.
    """
    check_shape("motion", motion, "... 4 4")
    check_shape("points", points, "... 3")
    lead = motion.shape[:-2]
    if points.shape[: len(lead)] != lead or points.ndim <= len(lead):
        raise ShapeError(
            f"points: expected leading axes {tuple(lead)} as motion has, got shape {tuple(points.shape)}"
        )
    extra = points.ndim - 1 - len(lead)
    rows = points.reshape(*lead, -1, 3)
    moved = rotate_vectors(motion[..., None, :3, :3], rows) + motion[..., None, :3, 3]
    return moved.reshape(*lead, *points.shape[len(lead) : len(lead) + extra], 3)


def look_at(position: Tensor, target: Tensor, up: Tensor | Sequence[float] = (0.0, -1.0, 0.0)) -> Tensor:
    """T_world_cam of a camera at `position` that looks at `target`, with its image upright.

    Args:
        position: (..., 3) in the world frame.
        target: (..., 3) in the world frame.
        up: (3,) or (..., 3) world direction that appears upwards; the world's y axis points down.

    Returns:
        (..., 4, 4).

    Raises:
        InputError: the target is the position, or the line of sight is parallel to `up`.
    """
    check_shape("position", position, "... 3")
    check_shape("target", target, "... 3")
    upwards = torch.as_tensor(up, dtype=position.dtype, device=position.device)
    position, target, upwards = torch.broadcast_tensors(position, target, upwards)
    forward = target - position
    if bool((forward.norm(dim=-1) == 0).any()):
        raise InputError("target: expected a point away from position, got the same point")
    forward = torch.nn.functional.normalize(forward, dim=-1)
    right = torch.linalg.cross(-torch.nn.functional.normalize(upwards, dim=-1), forward)
    length = right.norm(dim=-1, keepdim=True)
    if bool((length < 1e-6).any()):
        raise InputError("up: expected a direction that is not along the line of sight; pass another `up`")
    right = right / length
    down = torch.linalg.cross(forward, right)
    return se3_from(torch.stack((right, down, forward), dim=-1), position)
