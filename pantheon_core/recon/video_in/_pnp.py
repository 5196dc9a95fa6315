"""A camera's place from directions to known points."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ...geometry import se3_from
from ._flow import tangents

__all__ = ["Placed", "place_camera"]

_ROUNDS = 25
_SMALLEST_SCALE = math.radians(0.05)
_FEWEST = 12
_DONE = 1e-7


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Placed:
    """A pose and how well it fits.

    Attributes:
        T_world_cam: (4, 4) float64.
        residual: radians, median over the inliers.
        inliers: how many points agree.
    """

    T_world_cam: Tensor
    residual: float
    inliers: int


def place_camera(
    points: Tensor, rays: Tensor, weight: Tensor, T_world_cam: Tensor, *, tolerance: float
) -> Placed | None:
    """Refine a pose so that points are seen where they are.

    Gauss-Newton over rotation and position on the angles between seen and expected directions, with Cauchy's
    loss, whose scale follows the median: half of the points may be wrong.

    Args:
        points: (N, 3) in the world.
        rays: (N, 3) unit directions in the camera in which they are seen.
        weight: (N,) from 0.
        T_world_cam: (4, 4) pose to begin at.
        tolerance: radians within which a point agrees.

    Returns:
        The pose, or None where too few points agree to say one.
    """
    if len(points) < _FEWEST:
        return None
    points, rays, weight = points.double(), rays.double(), weight.double()
    rotation, centre = T_world_cam[:3, :3].double(), T_world_cam[:3, 3].double()
    across = tangents(rays)
    for _ in range(_ROUNDS):
        error, jacobian = _linear(points, rays, across, rotation, centre)
        scale = _scale(error)
        robust = weight / (1 + (error.norm(dim=-1) / scale).square())
        normal = torch.einsum("n,nri,nrj->ij", robust, jacobian, jacobian)
        slope = torch.einsum("n,nri,nr->i", robust, jacobian, error)
        damping = 1e-6 * normal.diagonal().clamp(min=1e-12).diag()
        step = -torch.linalg.solve(normal + damping, slope)
        if not bool(step.isfinite().all()):
            return None
        rotation = rotation @ _turn(step[:3])
        centre = centre + step[3:]
        if float(step.abs().max()) < _DONE:
            break
    error, _ = _linear(points, rays, across, rotation, centre)
    off = error.norm(dim=-1)
    inside = off < tolerance
    if int(inside.sum()) < max(_FEWEST, len(points) // 3):
        return None
    return Placed(
        T_world_cam=se3_from(rotation, centre),
        residual=float(off[inside].median()),
        inliers=int(inside.sum()),
    )


def _linear(
    points: Tensor, rays: Tensor, across: Tensor, rotation: Tensor, centre: Tensor
) -> tuple[Tensor, Tensor]:
    """(N, 2) angles off, and their derivative (N, 2, 6) by a turn of the camera and a move in the world."""
    local = (points - centre) @ rotation
    length = local.norm(dim=-1, keepdim=True).clamp(min=1e-9)
    seen = local / length
    # Behind the camera the tangent plane would show no error: there it is put at a right angle.
    error = torch.einsum("nrk,nk->nr", across, seen)
    back = (seen * rays).sum(-1) < 0
    error = torch.where(back[:, None], error + torch.sign(error + 1e-12), error)
    away = (torch.eye(3, dtype=seen.dtype) - seen[:, :, None] * seen[:, None, :]) / length[..., None]
    by_local = torch.einsum("nrk,nkj->nrj", across, away)
    by_turn = torch.einsum("nrk,nkj->nrj", by_local, _cross_matrix(local))
    return error, torch.cat((by_turn, -by_local @ rotation.T), dim=-1)


def _scale(error: Tensor) -> Tensor:
    return (1.5 * error.norm(dim=-1).median()).clamp(min=_SMALLEST_SCALE)


def _cross_matrix(v: Tensor) -> Tensor:
    zero = torch.zeros_like(v[..., 0])
    x, y, z = v.unbind(-1)
    rows = (
        torch.stack((zero, -z, y), -1),
        torch.stack((z, zero, -x), -1),
        torch.stack((-y, x, zero), -1),
    )
    return torch.stack(rows, dim=-2)


def _turn(vector: Tensor) -> Tensor:
    """(3, 3) rotation by a rotation vector."""
    return torch.linalg.matrix_exp(_cross_matrix(vector))
