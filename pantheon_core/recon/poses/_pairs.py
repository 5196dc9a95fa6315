"""Two panoramas: which features are the same, and how the cameras stand to one another."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ...geometry import nearest_rotation, rays_to_erp_pixels
from ._features import SphereFeatures, load_pycolmap

__all__ = [
    "PanoramaPair",
    "epipolar_inliers",
    "find_pair",
    "match_features",
    "rotation_between",
    "spread",
]

_RATIO = 0.8
_FARTHEST = 0.7
_CHUNK = 2048
_CELL = math.radians(15)
_MIN_PARALLAX = math.radians(1.5)
MIN_INLIERS = 20
"""Fewer matches that one motion explains are chance; none of 28 unrelated pairs reached 15."""
_SAME_PLACE = 0.9
_ROUNDS = 3


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PanoramaPair:
    """What two panoramas say about their cameras.

    Attributes:
        matches: (M, 2) int64, features of the first and the second that look the same.
        inliers: (M,) bool, those that one motion explains; none when the panoramas do not belong together.
        R_first_second: (3, 3) float64, or None where no motion was found.
        direction: (3,) float64 unit, to the second camera in the first one's frame; None as above, and for
            cameras at the same place.
        same_place: a turn alone explains the matches.
        spread: how much of the sphere supports `direction`, see `spread`.
    """

    matches: Tensor
    inliers: Tensor
    R_first_second: Tensor | None = None
    direction: Tensor | None = None
    same_place: bool = False
    spread: int = 0


def match_features(first: SphereFeatures, second: SphereFeatures) -> Tensor:
    """(M, 2) int64 indices of mutual nearest neighbours that no other feature comes close to."""
    a, b = torch.from_numpy(first.descriptors), torch.from_numpy(second.descriptors)
    if len(a) < 2 or len(b) < 2:
        return torch.zeros(0, 2, dtype=torch.int64)
    nearest, angles = [], []
    back = torch.full((len(b),), -2.0)
    back_index = torch.zeros(len(b), dtype=torch.int64)
    for start in range(0, len(a), _CHUNK):
        likeness = a[start : start + _CHUNK] @ b.T
        top, index = likeness.topk(2, dim=1)
        nearest.append(index[:, 0])
        angles.append(top.clamp(-1, 1).arccos())
        best, row = likeness.max(0)
        better = best > back
        back = torch.where(better, best, back)
        back_index = torch.where(better, row + start, back_index)
    towards, angle = torch.cat(nearest), torch.cat(angles)
    rows = torch.arange(len(a))
    clear = (angle[:, 0] < _FARTHEST) & (angle[:, 0] < _RATIO * angle[:, 1])
    kept = rows[clear & (back_index[towards] == rows)]
    return torch.stack((kept, towards[kept]), dim=1)


def rotation_between(
    first: Tensor, second: Tensor, tolerance: float, *, seed: int = 0
) -> tuple[Tensor, Tensor]:
    """The turn that brings most of the directions `second` (M, 3) onto `first` (M, 3).

    Args:
        first: unit directions, M at least 2.
        second: the same features in the other camera.
        tolerance: radians within which a pair agrees.
        seed: of the random samples.

    Returns:
        R_first_second (3, 3), and (M,) bool which pairs agree.
    """
    generator = torch.Generator().manual_seed(seed)
    sample = torch.randint(len(first), (256, 2), generator=generator)
    sample = sample[sample[:, 0] != sample[:, 1]]
    trial = _wahba(first[sample], second[sample])
    turned = torch.einsum("hij,mj->hmi", trial, second)
    agree = (turned * first).sum(-1) > math.cos(tolerance)
    inliers = agree[agree.sum(1).argmax()]
    rotation = trial[agree.sum(1).argmax()]
    for _ in range(3):
        if int(inliers.sum()) < 2:
            break
        rotation = _wahba(first[inliers], second[inliers])
        inliers = ((second @ rotation.T) * first).sum(-1) > math.cos(tolerance)
    return rotation, inliers


def _wahba(first: Tensor, second: Tensor) -> Tensor:
    """Best rotations (..., 3, 3) that bring second (..., M, 3) onto first, by the singular value method."""
    return nearest_rotation(first.transpose(-1, -2) @ second)


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


def find_pair(
    first: SphereFeatures, second: SphereFeatures, *, height: int, tolerance: float, seed: int = 0
) -> PanoramaPair:
    """Match two panoramas and find the motion between their cameras.

    Args:
        first: features of one.
        second: features of the other.
        height: of the equirectangular picture whose pixels are the unit of the search.
        tolerance: radians by which a feature may be off.
        seed: of the random samples.
    """
    matches = match_features(first, second)
    nothing = torch.zeros(len(matches), dtype=torch.bool)
    if len(matches) < MIN_INLIERS:
        return PanoramaPair(matches=matches, inliers=nothing)
    a, b = first.rays[matches[:, 0]], second.rays[matches[:, 1]]
    rotation, turned_only = rotation_between(a, b, 2 * tolerance, seed=seed)
    motions = _motions(a, b, height=height, tolerance=tolerance, seed=seed)
    most = max((int(motion.inliers.sum()) for motion in motions), default=0)
    if int(turned_only.sum()) >= max(MIN_INLIERS, _SAME_PLACE * most):
        return PanoramaPair(matches=matches, inliers=turned_only, R_first_second=rotation, same_place=True)
    if not motions:
        return PanoramaPair(matches=matches, inliers=nothing)
    best = max(motions, key=lambda motion: motion.spread)
    return PanoramaPair(
        matches=matches,
        inliers=best.inliers,
        R_first_second=best.rotation,
        direction=best.direction,
        spread=best.spread,
    )


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Motion:
    rotation: Tensor
    direction: Tensor
    inliers: Tensor
    spread: int


def _motions(first: Tensor, second: Tensor, *, height: int, tolerance: float, seed: int) -> list[_Motion]:
    """Motions that many matches agree on: the best, then the best of what it leaves unexplained.

    A repeating wall or floor, shifted by one tile, may have more matches than the truth, which is then found
    in the second or third round.
    """
    pycolmap = load_pycolmap()
    options = pycolmap.TwoViewGeometryOptions()
    options.ransac.random_seed = seed
    options.ransac.max_error = 2.0
    options.detect_watermark = False
    options.compute_relative_pose = True
    camera = sphere_camera(height)
    left = torch.arange(len(first))
    out = []
    for _ in range(_ROUNDS):
        if len(left) < MIN_INLIERS:
            break
        rows = torch.arange(len(left))[:, None].expand(-1, 2).numpy().astype("uint32")
        found = pycolmap.estimate_two_view_geometry(
            camera, to_pixels(first[left], height), camera, to_pixels(second[left], height), rows, options
        )
        if found.cam2_from_cam1 is None or len(found.inlier_matches) < MIN_INLIERS:
            break
        motion = torch.from_numpy(found.cam2_from_cam1.matrix().copy())
        rotation = motion[:, :3].T
        direction = torch.nn.functional.normalize(-(rotation @ motion[:, 3]), dim=0)
        inliers, _ = epipolar_inliers(first, second, rotation, direction, 2 * tolerance)
        if int(inliers.sum()) >= MIN_INLIERS:
            cells = spread(first, second, rotation, direction, tolerance)
            out.append(_Motion(rotation=rotation, direction=direction, inliers=inliers, spread=cells))
        keep = torch.ones(len(left), dtype=torch.bool)
        keep[torch.from_numpy(found.inlier_matches[:, 0].astype("int64"))] = False
        left = left[keep & ~inliers[left]]
    return out


def sphere_camera(height: int):
    """Camera of a panorama, as pycolmap has it."""
    pycolmap = load_pycolmap()
    model = pycolmap.CameraModelId.EQUIRECTANGULAR
    return pycolmap.Camera.create_from_model_id(1, model, 0, 2 * height, height)


def to_pixels(rays: Tensor, height: int):
    """(K, 2) float64 array of where pycolmap sees directions: its first pixel's centre is at 0.5."""
    return (rays_to_erp_pixels(rays, height) + 0.5).numpy()
