"""The rig: the views of a panorama have one centre, and their directions to each other are known."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ...check import check_finite, check_rotation, check_shape
from ...geometry import nearest_rotation, se3_from

__all__ = ["RigFit", "fit_rig"]

_ITERATIONS = 20
_FINEST = math.radians(0.2)  # residuals below this are not told apart
_VIEW_FAILED = math.radians(30)
_TURNED = math.radians(10)
_SPREAD = 0.25


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class RigFit:
    """Cameras of panoramas from the poses of their views.

    Attributes:
        T_world_pano: (P, 4, 4) panorama camera to the network's world.
        rotation_error: (P,) median angle between the views' rotations and the rig's, radians.
        centre_spread: (P,) median distance of the views' centres from the panorama's, as a share of the
            typical distance of what it sees.
        view_error: (V,) angle of each view, radians.
        view_used: (V,) bool, False for views whose pose contradicts the rig by more than 30°.
        registered: (P,) bool, False where the views contradict each other: in the middle by more than 10°
            or a quarter of the typical distance, or half of them altogether.
    """

    T_world_pano: Tensor
    rotation_error: Tensor
    centre_spread: Tensor
    view_error: Tensor
    view_used: Tensor
    registered: Tensor


def fit_rig(T_world_view: Tensor, rotations: Tensor, panorama: Tensor, typical: Tensor) -> RigFit:
    """One pose for each panorama.

    Each view proposes a rotation of the panorama: its own, with its known direction undone. Their robust
    chordal mean is the panorama's; its centre is the geometric median of the views' centres.

    Args:
        T_world_view: (V, 4, 4) as a network gave them; rotations need not be quite orthonormal.
        rotations: (V, 3, 3) panorama camera from view camera, known.
        panorama: (V,) int64, which panorama a view belongs to: 0 to P − 1.
        typical: (P,) typical distance of what each panorama sees, in the unit of the poses.

    Raises:
        InputError: poses that are not finite.

    Source: R. Hartley et al., Rotation Averaging, IJCV 2013, section 5 (chordal mean); E. Weiszfeld, 1937.
    """
    views = check_shape("T_world_view", T_world_view, "V 4 4")["V"]
    check_shape("rotations", rotations, "V 3 3", V=views)
    check_rotation("rotations", rotations)
    check_finite("T_world_view", T_world_view)
    proposals = nearest_rotation(T_world_view[:, :3, :3].double()) @ rotations.double().transpose(-1, -2)
    centres = T_world_view[:, :3, 3].double()
    count = len(typical)
    poses, turns, spreads, registered = [], [], [], []
    error = torch.zeros(views, dtype=torch.float64)
    for index in range(count):
        own = panorama == index
        rotation = _mean_rotation(proposals[own])
        error[own] = angles(proposals[own], rotation)
        agreeing = own & (error <= _VIEW_FAILED)
        centre = _geometric_median(centres[agreeing if bool(agreeing.any()) else own])
        turn = float(error[own].median())
        spread = float((centres[own] - centre).norm(dim=-1).median() / typical[index].clamp(min=1e-12))
        share = float(agreeing.sum() / own.sum())
        poses.append(se3_from(rotation, centre))
        turns.append(turn)
        spreads.append(spread)
        registered.append(turn <= _TURNED and spread <= _SPREAD and share >= 0.5)
    return RigFit(
        T_world_pano=torch.stack(poses).float(),
        rotation_error=torch.tensor(turns),
        centre_spread=torch.tensor(spreads),
        view_error=error.float(),
        view_used=error <= _VIEW_FAILED,
        registered=torch.tensor(registered),
    )


def angles(rotations: Tensor, reference: Tensor) -> Tensor:
    """(N,) radians between rotations (N, 3, 3) and one."""
    chord = (rotations - reference).flatten(-2).norm(dim=-1)
    return 2 * torch.asin((chord / (2 * math.sqrt(2))).clamp(max=1))


def _mean_rotation(proposals: Tensor) -> Tensor:
    """(3, 3) from (N, 3, 3): from the proposal nearest to all others, views far from it count little."""
    apart = torch.stack([angles(proposals, one).sum() for one in proposals])
    mean = proposals[apart.argmin()]
    for _ in range(_ITERATIONS):
        residual = angles(proposals, mean)
        scale = max(1.5 * float(residual.median()), _FINEST)
        weight = 1 / (1 + (residual / scale) ** 2) ** 2
        mean = nearest_rotation((proposals * weight[:, None, None]).sum(0))
    return mean


def _geometric_median(points: Tensor) -> Tensor:
    """(3,) the point with the smallest sum of distances to (N, 3)."""
    centre = points.median(0).values
    finest = 1e-9 + 1e-6 * float((points - centre).norm(dim=-1).max())
    for _ in range(5 * _ITERATIONS):
        weight = 1 / (points - centre).norm(dim=-1).clamp(min=finest)
        centre = (points * weight[:, None]).sum(0) / weight.sum()
    return centre
