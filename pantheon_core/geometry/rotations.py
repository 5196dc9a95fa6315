"""Rotations: yaw, pitch and roll, unit quaternions, and interpolation between them.

yaw, pitch and roll are right-hand rotations about +y, +x and +z (OpenCV axes, y down), R = Ry Rx Rz: positive
yaw turns right, positive pitch looks up, positive roll turns the camera clockwise. Quaternions: w, x, y, z.
"""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor

from ..check import check_shape
from ..errors import InputError

__all__ = [
    "crop_rotations",
    "nearest_rotation",
    "quaternion_wxyz_from_rotation",
    "rotate_vectors",
    "rotation_from_quaternion_wxyz",
    "rotation_from_yaw_pitch_roll",
    "slerp",
    "squad",
    "squad_control",
    "yaw_pitch_roll_from_rotation",
]


def rotation_from_yaw_pitch_roll(
    yaw: float | Tensor, pitch: float | Tensor = 0.0, roll: float | Tensor = 0.0
) -> Tensor:
    """Rotation world from camera of a camera with the given attitude, R = Ry Rx Rz.

    Args:
        yaw: angle in radians, positive to the right; a number or a tensor (...).
        pitch: angle in radians, positive upwards.
        roll: angle in radians, positive clockwise.

    Returns:
        (..., 3, 3); float32, or the widest type of the tensors given.
    """
    given = [angle for angle in (yaw, pitch, roll) if isinstance(angle, Tensor)]
    dtype, device = torch.float32, None
    if given:
        device = given[0].device
        dtype = torch.float32 if all(not a.is_floating_point() for a in given) else given[0].dtype
        for angle in given:
            dtype = torch.promote_types(dtype, angle.dtype)
    wide = torch.float64 if device is None else dtype
    y, p, r = torch.broadcast_tensors(
        *(torch.as_tensor(angle, dtype=wide, device=device) for angle in (yaw, pitch, roll))
    )
    cy, sy, cp, sp, cr, sr = y.cos(), y.sin(), p.cos(), p.sin(), r.cos(), r.sin()
    rows = (
        torch.stack((cy * cr + sy * sp * sr, -cy * sr + sy * sp * cr, sy * cp), dim=-1),
        torch.stack((cp * sr, cp * cr, -sp), dim=-1),
        torch.stack((-sy * cr + cy * sp * sr, sy * sr + cy * sp * cr, cy * cp), dim=-1),
    )
    return torch.stack(rows, dim=-2).to(cast("torch.dtype", dtype))


def rotate_vectors(rotation: Tensor, vectors: Tensor) -> Tensor:
    """`rotation @ vector` for (..., 3, 3) and (..., 3), leading axes broadcast together.

    Written as products and sums: a matrix product would follow the host's choice of TF32 on CUDA, whose
    three digits misplace pixels.
    """
    x, y, z = vectors.split(1, dim=-1)
    return x * rotation[..., 0] + y * rotation[..., 1] + z * rotation[..., 2]


def yaw_pitch_roll_from_rotation(rotation: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Yaw, pitch and roll in radians of (..., 3, 3) rotations, each (...).

    Looking straight up or down, yaw and roll turn about the same axis; then roll is 0 and yaw has all of it.

    Raises:
        ShapeError: not (..., 3, 3).
    """
    check_shape("rotation", rotation, "... 3 3")
    horizontal = torch.hypot(rotation[..., 0, 2], rotation[..., 2, 2])
    vertical = horizontal < 4 * torch.finfo(rotation.dtype).eps
    pitch = torch.atan2(-rotation[..., 1, 2], horizontal)
    yaw = torch.where(
        vertical,
        torch.atan2(-rotation[..., 2, 0], rotation[..., 0, 0]),
        torch.atan2(rotation[..., 0, 2], rotation[..., 2, 2]),
    )
    roll = torch.where(vertical, torch.zeros_like(yaw), torch.atan2(rotation[..., 1, 0], rotation[..., 1, 1]))
    return yaw, pitch, roll


def crop_rotations(
    count: int = 8, *, device: torch.device | str | None = None, dtype: torch.dtype = torch.float32
) -> Tensor:
    """(count, 3, 3) rotations of level cameras at equal steps of yaw, the first looking along +z.

    Raises:
        InputError: the count is less than 1.
    """
    if count < 1:
        raise InputError(f"count: expected at least 1 view, got {count}")
    yaw = torch.arange(count, dtype=torch.float64) * (2 * math.pi / count)
    return rotation_from_yaw_pitch_roll(yaw).to(device=device, dtype=dtype)


def rotation_from_quaternion_wxyz(quaternion_wxyz: Tensor) -> Tensor:
    """Rotation matrices (..., 3, 3) of quaternions (..., 4) in the order w, x, y, z.

    The quaternions are normalised here, so any non-zero length is accepted.

    Raises:
        ShapeError: the last axis is not 4.
        InputError: a quaternion is zero.
    """
    w, x, y, z = _unit("quaternion_wxyz", quaternion_wxyz).unbind(-1)
    rows = (
        torch.stack((1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)), dim=-1),
        torch.stack((2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)), dim=-1),
        torch.stack((2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)), dim=-1),
    )
    return torch.stack(rows, dim=-2)


def quaternion_wxyz_from_rotation(rotation: Tensor) -> Tensor:
    """Unit quaternions (..., 4), order w, x, y, z and w >= 0, of rotation matrices (..., 3, 3).

    Raises:
        ShapeError: not (..., 3, 3).

    Source: S. W. Shepperd, Quaternion from rotation matrix (1978): divide by the largest component.
    """
    check_shape("rotation", rotation, "... 3 3")
    r00, r11, r22 = rotation[..., 0, 0], rotation[..., 1, 1], rotation[..., 2, 2]
    a = rotation[..., 2, 1] - rotation[..., 1, 2]
    b = rotation[..., 0, 2] - rotation[..., 2, 0]
    c = rotation[..., 1, 0] - rotation[..., 0, 1]
    d = rotation[..., 1, 0] + rotation[..., 0, 1]
    e = rotation[..., 0, 2] + rotation[..., 2, 0]
    f = rotation[..., 2, 1] + rotation[..., 1, 2]
    # Four times q q^T: its row with the largest diagonal is q, scaled, without cancellation.
    outer = torch.stack(
        (
            torch.stack((1 + r00 + r11 + r22, a, b, c), dim=-1),
            torch.stack((a, 1 + r00 - r11 - r22, d, e), dim=-1),
            torch.stack((b, d, 1 - r00 + r11 - r22, f), dim=-1),
            torch.stack((c, e, f, 1 - r00 - r11 + r22), dim=-1),
        ),
        dim=-2,
    )
    best = outer.diagonal(dim1=-2, dim2=-1).argmax(-1)
    index = best[..., None, None].expand(*best.shape, 1, 4)
    quaternion = torch.nn.functional.normalize(outer.gather(-2, index).squeeze(-2), dim=-1)
    return torch.where(quaternion[..., :1] < 0, -quaternion, quaternion)


def slerp(start: Tensor, end: Tensor, t: float | Tensor, *, shortest: bool = True) -> Tensor:
    """Rotate at constant speed from one orientation to another.

    Args:
        start: (..., 4) quaternions wxyz.
        end: (..., 4) quaternions wxyz.
        t: 0 at the start, 1 at the end; a number or (...).
        shortest: go the short way round (q and -q are the same orientation).

    Returns:
        (..., 4) unit quaternions wxyz.

    Raises:
        ShapeError: the last axis is not 4.
        InputError: a quaternion is zero.

    Source: K. Shoemake, Animating rotation with quaternion curves (1985).
    """
    q0, q1 = torch.broadcast_tensors(_unit("start", start), _unit("end", end))
    part = torch.as_tensor(t, dtype=q0.dtype, device=q0.device)[..., None]
    dot = (q0 * q1).sum(-1, keepdim=True)
    if shortest:
        q1, dot = torch.where(dot < 0, -q1, q1), dot.abs()
    # The half angle from the chord: acos(dot) loses half of the digits for small turns.
    angle = 2 * torch.atan2((q0 - q1).norm(dim=-1, keepdim=True), (q0 + q1).norm(dim=-1, keepdim=True))
    sine = angle.sin()
    small = sine.abs() < 1e-6
    safe = torch.where(small, torch.ones_like(sine), sine)
    first = torch.where(small, 1 - part, ((1 - part) * angle).sin() / safe)
    second = torch.where(
        small, part.expand_as(sine) if part.ndim <= sine.ndim else part, (part * angle).sin() / safe
    )
    return torch.nn.functional.normalize(first * q0 + second * q1, dim=-1)


def squad_control(before: Tensor, at: Tensor, after: Tensor) -> Tensor:
    """Inner control quaternion at a key, from its neighbours, for `squad`; all (..., 4) wxyz.

    At the ends of a track pass the key itself as the missing neighbour.

    Source: K. Shoemake, Quaternion calculus and fast animation (1987):
        a = q exp(-(log q^-1 q+ + log q^-1 q-) / 4).
    """
    q = _unit("at", at)
    inverse = q * q.new_tensor([1.0, -1.0, -1.0, -1.0])
    logs = [
        _log(_multiply(inverse, _same_side(q, _unit(n, v))))
        for n, v in (("before", before), ("after", after))
    ]
    return torch.nn.functional.normalize(_multiply(q, _exp(-0.25 * (logs[0] + logs[1]))), dim=-1)


def squad(
    start: Tensor, end: Tensor, control_start: Tensor, control_end: Tensor, t: float | Tensor
) -> Tensor:
    """Smooth interpolation of orientations through keys: a cubic in the space of quaternions.

    Args:
        start: (..., 4) key before, wxyz.
        end: (..., 4) key after, wxyz.
        control_start: `squad_control` of the key before.
        control_end: `squad_control` of the key after.
        t: 0 at the start, 1 at the end.

    Returns:
        (..., 4) unit quaternions wxyz; the angular velocity is continuous across keys at equal times.

    Source: K. Shoemake, Quaternion calculus and fast animation (1987).
    """
    q0 = _unit("start", start)
    q1 = _same_side(q0, _unit("end", end))
    s0 = _same_side(q0, _unit("control_start", control_start))
    s1 = _same_side(q1, _unit("control_end", control_end))
    part = torch.as_tensor(t, dtype=q0.dtype, device=q0.device)
    outer = slerp(q0, q1, part, shortest=False)
    inner = slerp(s0, s1, part, shortest=False)
    return slerp(outer, inner, 2 * part * (1 - part), shortest=False)


def _unit(name: str, quaternion: Tensor) -> Tensor:
    check_shape(name, quaternion, "... 4")
    length = quaternion.norm(dim=-1, keepdim=True)
    if bool((length == 0).any()):
        raise InputError(f"{name}: expected non-zero quaternions, got one of length 0")
    return quaternion / length


def _same_side(reference: Tensor, quaternion: Tensor) -> Tensor:
    return torch.where((reference * quaternion).sum(-1, keepdim=True) < 0, -quaternion, quaternion)


def _multiply(a: Tensor, b: Tensor) -> Tensor:
    scalar = a[..., :1] * b[..., :1] - (a[..., 1:] * b[..., 1:]).sum(-1, keepdim=True)
    cross = torch.linalg.cross(a[..., 1:], b[..., 1:])
    return torch.cat((scalar, a[..., :1] * b[..., 1:] + b[..., :1] * a[..., 1:] + cross), dim=-1)


def _log(quaternion: Tensor) -> Tensor:
    """(..., 3) half the rotation vector of a unit quaternion."""
    vector = quaternion[..., 1:]
    length = vector.norm(dim=-1, keepdim=True)
    angle = torch.atan2(length, quaternion[..., :1])
    return vector * torch.where(length > 0, angle / length.clamp(min=1e-30), torch.ones_like(length))


def _exp(vector: Tensor) -> Tensor:
    angle = vector.norm(dim=-1, keepdim=True)
    return torch.cat((angle.cos(), vector * torch.sinc(angle / math.pi)), dim=-1)


def nearest_rotation(matrix: Tensor) -> Tensor:
    """The rotations (..., 3, 3) closest to matrices (..., 3, 3) in the sense of squared differences.

    Of a sum of outer products target source^T it is the rotation that brings the sources onto the targets.

    Source: W. Kabsch, A solution for the best rotation to relate two sets of vectors (1976).
    """
    left, _, right = torch.linalg.svd(matrix)
    sign = torch.ones_like(left[..., 0, :])
    sign[..., 2] = torch.linalg.det(left @ right)
    return (left * sign[..., None, :]) @ right
